"""Exit status 0 if the instance in this container is ready: nothing but a 200 will do."""

import http.client
import os
import sys

port = int(os.environ["BIND"].rpartition(":")[2])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=6)
try:
    connection.request("GET", "/ready")
    answer = connection.getresponse()
except OSError as error:
    sys.exit(f"no answer: {error}")
if answer.status != 200:
    sys.exit(f"{answer.status}: {answer.read(500).decode(errors='replace')}")
