"""The inbox: which events have had their effect, written in the effect's own transaction.

An event may come again, after a crash of the consumer or when the bus lost data. Its id in the
inbox says that it was there before, and commits or rolls back with what it did.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from chassis.events import Event

# Longer than an event can be on its way: the outbox delivers again what is 24 hours old, and a
# consumer that was away for longer finds that the effects themselves are idempotent.
KEPT = "7 days"
PRUNE_BATCH = 5000

SCHEMA = """
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_by_age ON inbox (at);

-- Moves the logical clock to where an event was that is taken note of, so that whatever is
-- written from now on is above it. A sequence that is set could be set back by one who looked
-- before others took numbers; so it is stepped, unless it is too far for that to happen.
CREATE FUNCTION observe_lamport(seen bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    gap bigint := seen - (SELECT last_value FROM lamport);
BEGIN
    IF gap > 10000 THEN
        PERFORM setval('lamport', seen);
    ELSIF gap > 0 THEN
        PERFORM nextval('lamport') FROM generate_series(1, gap);
    END IF;
END
$$;

-- Takes note of an event. Returns false when a consumer had it before, and then does nothing.
CREATE FUNCTION take_event(of_consumer text, event text, seen bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox (consumer, event_id) VALUES (of_consumer, event) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM observe_lamport(seen);
    RETURN true;
END
$$;
"""


def grants(role: str) -> str:
    """SQL that lets a service's role use its inbox."""
    return f"""
    GRANT SELECT, INSERT, DELETE ON inbox TO {role};
    GRANT SELECT, UPDATE ON SEQUENCE lamport TO {role};
    """


def first_time(session: Session, consumer: str, event: Event) -> bool:
    """Take note of an event in the caller's transaction; False when it was there before.

    Of two that take the same event at once, the second waits for the first to end.
    """
    return bool(
        session.scalar(
            text("SELECT take_event(:consumer, :id, :lamport)"),
            {"consumer": consumer, "id": event.id, "lamport": event.lamport},
        )
    )


def prune(engine: Engine) -> bool:
    """Forget a batch of old ids; True when there may be more.

    Args:
        engine: of the primary, whose statements are transactions of their own.
    """
    with engine.connect() as connection:
        deleted = connection.execute(text(_PRUNE), {"limit": PRUNE_BATCH}).rowcount
    return deleted == PRUNE_BATCH


_PRUNE = f"""
DELETE FROM inbox WHERE ctid IN (
    SELECT ctid FROM inbox WHERE at < now() - interval '{KEPT}' LIMIT :limit)
"""
