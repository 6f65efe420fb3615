"""The tables of the outbox, as the migrations of every service that has one make them."""

from __future__ import annotations

from chassis import bell, correlation, inbox

SCHEMA = """
CREATE SEQUENCE lamport;
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id text NOT NULL UNIQUE,
    type text NOT NULL,
    subject text NOT NULL,
    time timestamptz NOT NULL,
    lamport bigint NOT NULL DEFAULT nextval('lamport'),
    data jsonb NOT NULL
);
CREATE INDEX outbox_window ON outbox (txid, seq);
CREATE TABLE outbox_cursors (
    sink text PRIMARY KEY,
    low xid8 NOT NULL DEFAULT '0',
    high xid8 NOT NULL DEFAULT '0',
    seq bigint NOT NULL DEFAULT 0
);
"""

# Where the sink was after the last batch, in its own words; NULL: not known.
SCHEMA_0002 = "ALTER TABLE outbox_cursors ADD COLUMN position text;" + bell.SCHEMA + inbox.SCHEMA
# Which request an event comes of.
SCHEMA_0003 = f"ALTER TABLE outbox ADD COLUMN {correlation.COLUMN};"


def grants_0002(role: str) -> str:
    """What a service's role may do with what is new in `SCHEMA_0002`."""
    return bell.grants(role) + inbox.grants(role)
