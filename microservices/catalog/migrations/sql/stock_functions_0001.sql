-- The hot statements of the catalog. Each is one function so that a reservation costs one round
-- trip, and its row locks live no longer than that.

-- The `data` of a stock.updated event: a full snapshot with its version.
CREATE FUNCTION stock_snapshot(of_product bigint, of_branch text)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'sku', p.sku, 'product_id', p.id, 'branch', s.branch,
        'available', s.available, 'version', s.version,
        'product', jsonb_build_object(
            'id', p.id, 'sku', p.sku, 'name', p.name, 'description', p.description,
            'category', jsonb_build_object('id', c.id, 'slug', c.slug, 'name', c.name),
            'price_cents', p.price_cents, 'currency', p.currency,
            'image_url', p.image_url, 'active', p.active, 'version', p.version))
    FROM stock s JOIN products p ON p.id = s.product_id JOIN categories c ON c.id = p.category_id
    WHERE s.product_id = of_product AND s.branch = of_branch
$$;

-- Moves stock for every line of a reservation and tells of it. The rows must be locked already.
CREATE FUNCTION move_lines(
    reservation text, of_branch text, lines jsonb, sign int, how text, at_time timestamptz,
    event_ids text[]
) RETURNS void LANGUAGE sql AS $$
    WITH moved AS (
        UPDATE stock s SET available = s.available + sign * l.quantity, version = s.version + 1
        FROM jsonb_to_recordset(lines) AS l (product_id bigint, quantity bigint)
        WHERE s.product_id = l.product_id AND s.branch = of_branch
    )
    INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)
    SELECT l.product_id, of_branch, sign * l.quantity, how, reservation, at_time
    FROM jsonb_to_recordset(lines) AS l (product_id bigint, quantity bigint)
    ORDER BY l.product_id;
    INSERT INTO outbox (id, type, subject, time, data)
    SELECT event_ids[l.n], 'stock.updated', snapshot ->> 'sku', at_time, snapshot
    FROM ROWS FROM (jsonb_to_recordset(lines) AS (product_id bigint)) WITH ORDINALITY
            AS l (product_id, n),
        LATERAL stock_snapshot(l.product_id, of_branch) AS snapshot
    ORDER BY l.product_id;
$$;

-- Takes stock for all lines or for none.
--   wanted: [{product_id, quantity}], one entry per product
--   returns {outcome: held | short | released | mismatch, lines, expires_at, short}
-- The rows are locked in product order before anything is read: no two reservations can wait for
-- each other, and a repeated call waits for the first one and then finds it.
CREATE FUNCTION reserve_stock(
    reservation text, of_branch text, wanted jsonb, expires timestamptz, at_time timestamptz,
    event_ids text[]
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    existing reservations;
    priced jsonb;
    missing jsonb;
BEGIN
    PERFORM FROM stock s
    WHERE s.branch = of_branch AND s.product_id IN (
        SELECT w.product_id FROM jsonb_to_recordset(wanted) AS w (product_id bigint))
    ORDER BY s.product_id FOR NO KEY UPDATE;

    SELECT * INTO existing FROM reservations WHERE id = reservation;
    IF NOT FOUND THEN
        SELECT jsonb_agg(jsonb_build_object(
                   'product_id', w.product_id, 'quantity', w.quantity, 'name', p.name,
                   'unit_price_cents', p.price_cents, 'currency', p.currency)
                   ORDER BY w.product_id) FILTER (WHERE s.available >= w.quantity AND p.active),
               jsonb_agg(jsonb_build_object(
                   'product_id', w.product_id, 'requested', w.quantity,
                   'available', CASE WHEN p.active THEN s.available ELSE 0 END)
                   ORDER BY w.product_id)
                   FILTER (WHERE s.available IS NULL OR s.available < w.quantity OR NOT p.active)
        INTO priced, missing
        FROM jsonb_to_recordset(wanted) AS w (product_id bigint, quantity bigint)
        LEFT JOIN products p ON p.id = w.product_id
        LEFT JOIN stock s ON s.product_id = w.product_id AND s.branch = of_branch;
        IF missing IS NOT NULL THEN
            RETURN jsonb_build_object('outcome', 'short', 'short', missing);
        END IF;

        INSERT INTO reservations (id, branch, state, lines, created_at, expires_at)
        VALUES (reservation, of_branch, 'held', priced, at_time, expires)
        ON CONFLICT (id) DO NOTHING
        RETURNING * INTO existing;
        IF FOUND THEN
            PERFORM move_lines(reservation, of_branch, priced, -1, 'reserve', at_time, event_ids);
        ELSE
            SELECT * INTO STRICT existing FROM reservations WHERE id = reservation;
        END IF;
    END IF;

    IF existing.state = 'released' THEN
        RETURN jsonb_build_object('outcome', 'released');
    END IF;
    IF EXISTS (
        (SELECT w.product_id, w.quantity
         FROM jsonb_to_recordset(wanted) AS w (product_id bigint, quantity bigint))
        EXCEPT
        (SELECT l.product_id, l.quantity
         FROM jsonb_to_recordset(existing.lines) AS l (product_id bigint, quantity bigint))
    ) OR jsonb_array_length(wanted) <> jsonb_array_length(existing.lines) THEN
        RETURN jsonb_build_object('outcome', 'mismatch');
    END IF;
    RETURN jsonb_build_object('outcome', 'held', 'state', existing.state,
        'lines', existing.lines, 'expires_at', existing.expires_at);
END
$$;

-- Gives a reservation's stock back, whatever its state, once; an unknown id leaves a tombstone
-- that refuses a reservation which is still on its way.
--   returns the state that was found: held | committed | released | none
CREATE FUNCTION release_stock(
    reservation text, of_branch text, only_held boolean, at_time timestamptz, event_ids text[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    existing reservations;
BEGIN
    INSERT INTO reservations (id, branch, state, lines, created_at, expires_at, settled_at)
    VALUES (reservation, of_branch, 'released', '[]', at_time, at_time, at_time)
    ON CONFLICT (id) DO NOTHING;
    IF FOUND THEN
        RETURN 'none';
    END IF;
    SELECT * INTO STRICT existing FROM reservations WHERE id = reservation FOR UPDATE;
    IF existing.state = 'released' OR (only_held AND existing.state <> 'held') THEN
        RETURN existing.state;
    END IF;
    PERFORM FROM stock s
    WHERE s.branch = existing.branch AND s.product_id IN (
        SELECT l.product_id FROM jsonb_to_recordset(existing.lines) AS l (product_id bigint))
    ORDER BY s.product_id FOR NO KEY UPDATE;
    UPDATE reservations SET state = 'released', settled_at = at_time WHERE id = reservation;
    PERFORM move_lines(reservation, existing.branch, existing.lines, 1,
        CASE existing.state WHEN 'held' THEN 'release' ELSE 'return' END, at_time, event_ids);
    RETURN existing.state;
END
$$;

-- Turns a hold into a sale. Returns the state after it, or NULL for an unknown id.
CREATE FUNCTION commit_stock(reservation text, at_time timestamptz)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    now_is text;
BEGIN
    UPDATE reservations SET state = 'committed', settled_at = at_time
    WHERE id = reservation AND state = 'held' RETURNING state INTO now_is;
    IF NOT FOUND THEN
        SELECT state INTO now_is FROM reservations WHERE id = reservation;
    END IF;
    RETURN now_is;
END
$$;
