"""The jobs of the tools image: `certificate` makes the gateway's, `audit` proves the invariants."""

import os
import sys
from pathlib import Path

TLS = Path("/var/lib/feira/tls")


def main(command: str) -> int:
    """Run one job. Each loads only what it needs."""
    if command == "certificate":
        from local.certificate import ensure_certificate

        ensure_certificate(TLS / "tls.crt", TLS / "tls.key")
        return 0
    if command == "audit":
        from local.audit import audit

        return audit(os.environ["CATALOG_AUDIT_URL"], os.environ["ORDERS_AUDIT_URL"])
    raise SystemExit(f"no such job: {command}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
