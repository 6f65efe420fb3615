"""The tables that every service with an outbox has for other branches."""

from __future__ import annotations

SCHEMA = """
-- This branch itself. `epoch` rises when it was set back (a restored backup), so that peers take
-- what it says now for newer than what it said before; until it has heard from all of them, it is
-- `rejoining`.
CREATE TABLE branch_state (epoch bigint NOT NULL, rejoining boolean NOT NULL);
INSERT INTO branch_state VALUES (1, false);

-- How far each other branch was heard here: in which epoch, in which start of its relay, and how
-- many events it had written by then.
CREATE TABLE replica_sources (
    branch text PRIMARY KEY,
    epoch bigint NOT NULL,
    lamport bigint NOT NULL,
    start text,
    position bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now()
);

-- The starts of this branch's relays, each with what had been written when it began. A peer that
-- has heard more of a start than was written until the next one, or of a start that is not here,
-- knows what this branch has forgotten.
CREATE TABLE branch_starts (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer text NOT NULL,
    id text NOT NULL UNIQUE,
    position bigint NOT NULL
);

-- How delivery to a sink goes: for peers only.
ALTER TABLE outbox_cursors
    ADD COLUMN failures bigint NOT NULL DEFAULT 0,
    ADD COLUMN error text,
    ADD COLUMN succeeded_at timestamptz;

-- Events that a peer refused for good.
CREATE TABLE parked_events (
    peer text NOT NULL,
    event_id text NOT NULL,
    document jsonb NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (peer, event_id)
);

-- Who edited what last, of things that every branch may edit; and the edit that it was made upon.
CREATE TABLE shared_stamps (
    kind text NOT NULL,
    key text NOT NULL,
    lamport bigint NOT NULL,
    branch text NOT NULL,
    base_lamport bigint NOT NULL,
    base_branch text NOT NULL,
    PRIMARY KEY (kind, key)
);

-- Every edit that was made or came here: what comes again has had its effect.
CREATE TABLE seen_edits (
    kind text NOT NULL,
    key text NOT NULL,
    lamport bigint NOT NULL,
    branch text NOT NULL,
    PRIMARY KEY (kind, key, lamport, branch)
);

-- Edits that lost against a concurrent one.
CREATE TABLE lost_edits (
    kind text NOT NULL,
    key text NOT NULL,
    lamport bigint NOT NULL,
    branch text NOT NULL,
    document jsonb NOT NULL,
    winner_lamport bigint NOT NULL,
    winner_branch text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, key, lamport, branch)
);
"""

# What a peer heard of this branch in epochs before this one was made good when it began. A peer
# that was not there then still has to be asked.
MADE_GOOD = """
CREATE TABLE made_good (
    peer text NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (peer, epoch)
);
"""


def made_good_grants(role: str) -> str:
    """What a service's role may do with it."""
    return f"GRANT SELECT ON made_good TO {role}, auditor; GRANT INSERT ON made_good TO {role};"


def grants(role: str) -> str:
    """What a service's role may do with them."""
    return f"""
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}, auditor;
    GRANT UPDATE ON branch_state TO {role};
    GRANT INSERT, UPDATE ON replica_sources, shared_stamps TO {role};
    GRANT INSERT ON seen_edits, lost_edits, branch_starts TO {role};
    GRANT INSERT, UPDATE, DELETE ON outbox_cursors, parked_events TO {role};
    """
