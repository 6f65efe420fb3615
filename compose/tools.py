"""The jobs of the tools image.

certificate  makes the gateway's
audit        proves the invariants
books        says on standard output what the audit between branches compares (JSON)
position     says on standard output what a backup has to know of both databases (JSON)
reconcile    makes the restored databases one: takes what `position` said and the backup's begin
             from standard input (JSON), and names the orders to be cancelled on standard output
"""

import json
import os
import sys
from pathlib import Path

TLS = Path("/var/lib/feira/tls")
DATABASES = ("catalog", "orders")


def main(command: str) -> int:
    """Run one job. Each loads only what it needs."""
    jobs = {
        "certificate": certificate,
        "audit": audit,
        "books": books,
        "position": position,
        "reconcile": reconcile,
    }
    if command not in jobs:
        raise SystemExit(f"no such job: {command}")
    return jobs[command]()


def certificate() -> int:
    """Make the gateway's certificate, or renew it."""
    from local.certificate import ensure_certificate

    ensure_certificate(TLS / "tls.crt", TLS / "tls.key")
    return 0


def audit() -> int:
    """Prove the invariants."""
    from local.audit import audit as check

    return check(os.environ["CATALOG_AUDIT_URL"], os.environ["ORDERS_AUDIT_URL"])


def books() -> int:
    """Read this branch's books."""
    from local.audit_branches import read

    found = read(os.environ["CATALOG_AUDIT_URL"], os.environ["ORDERS_AUDIT_URL"])
    sys.stdout.write(json.dumps(found.document()))
    return 0


def position() -> int:
    """Note where both databases are."""
    from local import reconcile as restored

    urls = {name: os.environ[f"{name.upper()}_AUDIT_URL"] for name in DATABASES}
    sys.stdout.write(json.dumps({name: restored.position(url) for name, url in urls.items()}))
    return 0


def reconcile() -> int:
    """Make the restored databases one."""
    from local import reconcile as restored
    from local.errors import StackError

    noted = json.load(sys.stdin)
    urls = {name: os.environ[f"{name.upper()}_DATABASE_URL"] for name in DATABASES}
    try:
        for name, url in urls.items():
            restored.check_identity(url, noted["databases"][name])
            restored.rewind(url, noted["databases"][name]["cursors"])
        plan = restored.compare(urls["catalog"], urls["orders"], noted["since"])
        restored.give_back(os.environ["CATALOG_URL"], os.environ["SERVICE_TOKEN"], plan.release)
    except StackError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(json.dumps({"released": len(plan.release), "cancel": plan.cancel}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
