"""Metrics of a process that serves nothing else: `/metrics` at an address of its own."""

from __future__ import annotations

from prometheus_client import start_http_server

from chassis import metrics


def expose(address: str | None) -> None:
    """Show this process's metrics, and those of its children, at host:port; nothing without one.

    Raises:
        SystemExit: the address cannot be had.
    """
    if address is None:
        return
    host, _, port = address.rpartition(":")
    try:
        start_http_server(int(port), host, metrics.SHARED)
    except (OSError, OverflowError) as error:
        raise SystemExit(f"METRICS_BIND: {address} cannot be had: {error}") from None
