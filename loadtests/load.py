"""`python -m loadtests.load`: what `make load` runs: locust on a running shop."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from local.http_call import call
from local.secrets import secrets_file
from local.settings import REPOSITORY, inherited_environment, read_settings

PASSWORD = "DEMO_PASSWORD"
REPORTS = REPOSITORY / "reports"


def main() -> int:
    """Run locust; its exit code, or 1 when there is no shop to ask."""
    options = _parse()
    reason = "" if options.join else _unreachable(options.host)
    if reason:
        print(f"error: {options.host} {reason}; `make run` starts a shop", file=sys.stderr)
        return 1
    command = _command(options)
    password = _operator_password(options.host)
    secret = {"LOCUST_OPERATOR_PASSWORD": password} if password else {}
    environment = inherited_environment() | secret | {"PYTHONPATH": str(REPOSITORY)}
    running = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    while True:
        # Locust is asked to end by the same Ctrl-C, and wants to sum up.
        with suppress(KeyboardInterrupt):
            return running.wait()


def _command(options: argparse.Namespace) -> list[str]:
    files = [
        "loadtests/locustfile.py",
        *([f"loadtests/{options.shape}.py"] if options.shape else []),
    ]
    command = [sys.executable, "-m", "locust", "-f", ",".join(files), "--host", options.host]
    command += [name for name in options.classes.split(",") if name]
    command += ["--stop-timeout", "10", "--think", str(options.think)]
    if options.join:
        port = str(options.master_port)
        return [*command, "--worker", "--master-host", options.join, "--master-port", port]
    command += ["-u", str(options.users), "-r", str(options.rate)]
    if options.thresholds:
        command += ["--thresholds", options.thresholds]
    if options.workers:
        command += ["--master", "--master-bind-port", str(options.master_port)]
        command += ["--expect-workers", str(options.workers)]
        print(f"Waiting for {options.workers} workers: make load JOIN=<this machine>", flush=True)
    if not options.headless:
        print(f"Open http://localhost:{options.web_port}/ and press Start; Ctrl-C ends it.")
        return [*command, "--web-host", "127.0.0.1", "--web-port", str(options.web_port)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    command += ["--headless", "--only-summary", "-L", "WARNING"]
    command += ["--stage-seconds", str(options.stage)] if options.shape else []
    command += ["--csv", str(options.out), "--html", f"{options.out}.html"]
    # A shape knows itself when it is over.
    return command if options.shape else [*command, "-t", options.time]


def _unreachable(host: str) -> str:
    try:
        status = call("GET", f"{host}/health", timeout=5).status
    except (OSError, ValueError) as error:
        return f"does not answer ({error})"
    return "" if status == 200 else f"answers {status} at /health"


def _operator_password(host: str) -> str:
    """From this clone's own secrets, if it is this clone's own shop that is asked."""
    settings = read_settings()
    mine = {f"http://{name}:{settings.port}" for name in ("localhost", "127.0.0.1")}
    given = os.environ.get("LOCUST_OPERATOR_PASSWORD", "")
    if given or host not in mine:
        return given
    try:
        lines = secrets_file(settings.feira_home).read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2] for line in lines if line.startswith(PASSWORD)), "")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.load", description=__doc__)
    parser.add_argument("--host", default=f"http://localhost:{read_settings().port}")
    parser.add_argument("--headless", action="store_true", help="no web page, but thresholds")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10, help="users that come per second")
    parser.add_argument("--time", default="60s", help="such as 90s, 10m; headless only")
    parser.add_argument("--think", type=float, default=1.0, help="factor of all think times")
    parser.add_argument("--thresholds", default="", help="a file beside thresholds.toml")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    text = "how the files of CSV and HTML begin; headless only"
    parser.add_argument("--out", type=Path, default=REPORTS / f"load-{stamp}", help=text)
    parser.add_argument("--shape", choices=("knee",), help="users grow until the shop is saturated")
    parser.add_argument("--stage", type=float, default=10.0, help="seconds of a shape's stages")
    parser.add_argument("--classes", default="", help="of users, separated by commas; else all")
    parser.add_argument("--workers", type=int, default=0, help="wait for so many that join")
    parser.add_argument("--join", default="", help="be a worker of the load that this host leads")
    parser.add_argument("--master-port", type=int, default=5557)
    parser.add_argument("--web-port", type=int, default=8089)
    options = parser.parse_args()
    options.host = options.host.rstrip("/")
    return options


if __name__ == "__main__":
    sys.exit(main())
