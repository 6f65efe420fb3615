-- What customers are to be written to about: the inbox of the events that say so, and the queue of
-- the sender, in one. No address is kept here; it is looked up when the mail is sent.
CREATE TABLE mails (
    event_id text PRIMARY KEY,
    order_id text NOT NULL,
    kind text NOT NULL CONSTRAINT mails_kind CHECK (kind IN ('confirmed', 'cancelled')),
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    sent_at timestamptz,
    -- Whatever becomes of the events' ids, nobody is told the same twice.
    CONSTRAINT mails_once UNIQUE (order_id, kind)
);
CREATE INDEX mails_due ON mails (due_at) WHERE sent_at IS NULL;
CREATE INDEX mails_by_age ON mails (sent_at) WHERE sent_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON mails TO orders;
GRANT SELECT ON mails TO auditor;
