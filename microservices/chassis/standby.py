"""What /status says of replication: who is primary, and how far behind the standby is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis.db import Database


def replication(database: Database) -> dict[str, Any]:
    """`{primary, read_from, standbys, lag_bytes, lag_seconds}`; None for what is not known."""
    standbys, lag_bytes, primary = database.read_primary(_on_primary)
    lag_seconds, read_from = database.read(_on_reader)
    return {
        "primary": primary,
        "read_from": read_from,
        "standbys": standbys,
        "lag_bytes": lag_bytes,
        "lag_seconds": lag_seconds,
    }


def _on_primary(session: Session) -> tuple[int, int | None, str]:
    # The standbys' slots: unlike pg_stat_replication, every role may see where they are.
    row = session.execute(
        text(
            "SELECT count(*) FILTER (WHERE active),"
            " CAST(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS bigint),"
            " inet_server_port() FROM pg_replication_slots WHERE slot_type = 'physical'"
        )
    ).one()
    return row[0], row[1], f"port {row[2]}"


def _on_reader(session: Session) -> tuple[float | None, str]:
    row = session.execute(
        text(
            "SELECT pg_is_in_recovery(), CASE"
            " WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
            " ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END"
        )
    ).one()
    lag = None if row[1] is None else round(float(row[1]), 3)
    return lag, "standby" if row[0] else "primary"
