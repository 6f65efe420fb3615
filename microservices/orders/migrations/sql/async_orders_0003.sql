-- Asynchronous orders. Their cart is read by a worker: until then their step is `validate`, and the
-- cart's version is not known unless the customer named one.
ALTER TABLE orders ALTER COLUMN cart_version DROP NOT NULL;
ALTER TABLE orders DROP CONSTRAINT orders_step;
ALTER TABLE orders ADD CONSTRAINT orders_step
    CHECK (step IN ('validate', 'reserve', 'pay', 'compensate', 'done'));
-- When an asynchronous order was last given to the workers' queue; null for a synchronous one.
ALTER TABLE orders ADD COLUMN queued_at timestamptz;
CREATE INDEX orders_queued ON orders (id) WHERE step <> 'done' AND queued_at IS NOT NULL;
CREATE INDEX orders_waiting ON orders (id) WHERE step = 'validate';

-- Claims an idempotency key and opens its order, or returns what the key stands for already.
--   o: the order; `step`, `queued_at` and `answer` {status, body (as text)} only when it is to be
--      checked out later: the answer is given now, and is the key's for good
--   returns {outcome: claimed | known | busy | cart-taken} and, when known,
--           {order_id, body_hash, status, body}
-- The INSERT is the guard: of any number of claims of one key at once, one gets through.
CREATE OR REPLACE FUNCTION open_order(
    o jsonb, key_route text, key_value text, hash text, log jsonb, events jsonb, at_time timestamptz,
    lease timestamptz, expired_before timestamptz
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    known idempotency_keys;
BEGIN
    FOR attempt IN 1..2 LOOP
        INSERT INTO idempotency_keys
            (user_id, route, key, body_hash, order_id, created_at, status, body)
        VALUES (o ->> 'user_id', key_route, key_value, hash, o ->> 'id', at_time,
            (o #>> '{answer,status}')::bigint, o #>> '{answer,body}')
        ON CONFLICT (user_id, route, key) DO NOTHING;
        EXIT WHEN FOUND;
        SELECT * INTO known FROM idempotency_keys
        WHERE user_id = o ->> 'user_id' AND route = key_route AND key = key_value;
        IF NOT FOUND OR attempt = 2 THEN  -- given up or renewed by another in this very moment
            RETURN jsonb_build_object('outcome', 'busy');
        END IF;
        IF known.order_id = o ->> 'id' THEN  -- this very call, sent again after a lost answer
            RETURN jsonb_build_object('outcome', 'claimed');
        END IF;
        IF known.status IS NULL OR known.created_at >= expired_before THEN
            RETURN jsonb_build_object('outcome', 'known', 'order_id', known.order_id,
                'body_hash', known.body_hash, 'status', known.status, 'body', known.body);
        END IF;
        DELETE FROM idempotency_keys WHERE order_id = known.order_id;
    END LOOP;
    INSERT INTO orders (id, user_id, status, step, cart_id, cart_version, items, total_cents,
        currency, payment, shipping_address, version, created_at, updated_at, lease_until, retry_at,
        queued_at)
    VALUES (o ->> 'id', o ->> 'user_id', 'pending', coalesce(o ->> 'step', 'reserve'),
        o ->> 'cart_id', (o ->> 'cart_version')::bigint, o -> 'items',
        (o ->> 'total_cents')::bigint, o ->> 'currency', o -> 'payment',
        nullif(o -> 'shipping_address', 'null'), 1, at_time, at_time, lease, at_time,
        (o ->> 'queued_at')::timestamptz)
    ON CONFLICT (cart_id, cart_version) WHERE status NOT IN ('failed', 'cancelled') DO NOTHING;
    IF NOT FOUND THEN
        DELETE FROM idempotency_keys
        WHERE user_id = o ->> 'user_id' AND route = key_route AND key = key_value;
        RETURN jsonb_build_object('outcome', 'cart-taken');
    END IF;
    PERFORM write_history(o ->> 'id', log, events, at_time);
    RETURN jsonb_build_object('outcome', 'claimed');
END
$$;

-- One step of a saga: the order's changes, its log, its events, its payment and the key's answer.
--   changes: any of status, step, cart_version, items, total_cents, currency, payment, failure,
--            lease_until, retry_at
--   paid: {amount_cents, currency, state} or null
--   answer: {status, body (as text)}, 'free' to forget the key, or null to leave it open; a key
--           that was answered keeps its answer
-- Returns false, having done nothing, when the order is not at `expected` any more: somebody else
-- took it over.
CREATE OR REPLACE FUNCTION advance_order(
    of_order text, expected bigint, changes jsonb, log jsonb, events jsonb, paid jsonb,
    answer jsonb, at_time timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orders SET
        status = coalesce(changes ->> 'status', status),
        step = coalesce(changes ->> 'step', step),
        cart_version = coalesce((changes ->> 'cart_version')::bigint, cart_version),
        items = coalesce(changes -> 'items', items),
        total_cents = coalesce((changes ->> 'total_cents')::bigint, total_cents),
        currency = coalesce(changes ->> 'currency', currency),
        payment = coalesce(changes -> 'payment', payment),
        failure = coalesce(changes -> 'failure', failure),
        lease_until = coalesce((changes ->> 'lease_until')::timestamptz, lease_until),
        retry_at = coalesce((changes ->> 'retry_at')::timestamptz, retry_at),
        version = version + 1,
        updated_at = at_time
    WHERE id = of_order AND version = expected;
    IF NOT FOUND THEN
        -- Or it was this very call, sent again after a lost answer: nobody else holds the lease
        -- and writes at the same microsecond.
        RETURN EXISTS (SELECT FROM orders
            WHERE id = of_order AND version = expected + 1 AND updated_at = at_time);
    END IF;
    PERFORM write_history(of_order, log, events, at_time);
    IF paid IS NOT NULL THEN
        INSERT INTO payments (order_id, amount_cents, currency, state, at)
        VALUES (of_order, (paid ->> 'amount_cents')::bigint, paid ->> 'currency',
            paid ->> 'state', at_time)
        ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, at = excluded.at;
    END IF;
    IF answer = '"free"' THEN
        DELETE FROM idempotency_keys WHERE order_id = of_order AND status IS NULL;
    ELSIF answer IS NOT NULL THEN
        UPDATE idempotency_keys SET status = (answer ->> 'status')::bigint, body = answer ->> 'body'
        WHERE order_id = of_order AND status IS NULL;
    END IF;
    RETURN true;
END
$$;
