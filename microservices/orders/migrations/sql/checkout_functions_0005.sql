-- `write_history` of 0001 in PL/pgSQL, which plans its statements once per connection: a function of
-- the language SQL that is called from PL/pgSQL is planned anew at every call.
CREATE OR REPLACE FUNCTION write_history(of_order text, log jsonb, events jsonb, at_time timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO saga_log (order_id, step, outcome, attempt, at, detail)
    SELECT of_order, l.step, l.outcome, l.attempt, coalesce(l.at, at_time), l.detail
    FROM ROWS FROM (jsonb_to_recordset(log) AS (
        step text, outcome text, attempt int, at timestamptz, detail text)) WITH ORDINALITY
        AS l (step, outcome, attempt, at, detail, n) ORDER BY l.n;
    INSERT INTO outbox (id, type, subject, time, data)
    SELECT e.id, e.type, of_order, at_time, e.data
    FROM ROWS FROM (jsonb_to_recordset(events) AS (id text, type text, data jsonb)) WITH ORDINALITY
        AS e (id, type, data, n) ORDER BY e.n;
END
$$;
