-- A reservation computes and writes what it can before it locks a row of stock: whoever wants the same
-- product waits from the UPDATE to the commit, so nothing stands between them that need not.

-- A product as the events of its stock tell of it.
CREATE FUNCTION product_document(p products, c categories)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', p.id, 'sku', p.sku, 'name', p.name, 'description', p.description,
        'category', jsonb_build_object('id', c.id, 'slug', c.slug, 'name', c.name),
        'price_cents', p.price_cents, 'currency', p.currency,
        'image_url', p.image_url, 'active', p.active, 'version', p.version)
$$;

CREATE OR REPLACE FUNCTION stock_snapshot(of_product bigint, of_branch text)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'sku', p.sku, 'product_id', p.id, 'branch', s.branch,
        'available', s.available, 'version', s.version,
        'sent', s.sent, 'received', s.received, 'product', product_document(p, c))
    FROM stock s JOIN products p ON p.id = s.product_id JOIN categories c ON c.id = p.category_id
    WHERE s.product_id = of_product AND s.branch = of_branch);
END
$$;

-- What a repeated call is told of a reservation.
CREATE FUNCTION known_reservation(existing reservations, wanted jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
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

-- Takes stock for all lines or for none.
--   wanted: [{product_id, quantity}], one entry per product
--   returns {outcome: held | short | released | mismatch, lines, expires_at, short}
--   raises 40001 (try the whole call again) when stock or a product changed between look and lock
-- The rows are locked in product order: no two reservations can wait for each other.
CREATE OR REPLACE FUNCTION reserve_stock(
    reservation text, of_branch text, wanted jsonb, expires timestamptz, at_time timestamptz,
    event_ids text[]
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    existing reservations;
    line record;
    offer record;
    offers jsonb[] := '{}';
    priced jsonb := '[]';
    missing jsonb := '[]';
BEGIN
    -- A repeated call waits for the first one and then finds it, so that it is not told of stock that
    -- the first one took. It locks what it finds: that is written to the log, so that its answer, too,
    -- waits until the standby has it.
    PERFORM pg_advisory_xact_lock(hashtextextended(reservation, 0));
    SELECT * INTO existing FROM reservations WHERE id = reservation FOR KEY SHARE;
    IF FOUND THEN
        RETURN known_reservation(existing, wanted);
    END IF;

    FOR line IN
        SELECT * FROM jsonb_to_recordset(wanted) AS w (product_id bigint, quantity bigint)
        ORDER BY w.product_id
    LOOP
        SELECT p.name, p.price_cents, p.currency, product_document(p, c) AS document,
            CASE WHEN p.active THEN s.available END AS available
        INTO offer
        FROM products p JOIN categories c ON c.id = p.category_id
        JOIN stock s ON s.product_id = p.id AND s.branch = of_branch
        WHERE p.id = line.product_id;
        IF offer.available >= line.quantity THEN
            offers := offers || offer.document;
            priced := priced || jsonb_build_object(
                'product_id', line.product_id, 'quantity', line.quantity, 'name', offer.name,
                'unit_price_cents', offer.price_cents, 'currency', offer.currency);
        ELSE
            missing := missing || jsonb_build_object(
                'product_id', line.product_id, 'requested', line.quantity,
                'available', coalesce(offer.available, 0));
        END IF;
    END LOOP;
    IF missing <> '[]' THEN
        RETURN jsonb_build_object('outcome', 'short', 'short', missing);
    END IF;

    INSERT INTO reservations (id, branch, state, lines, created_at, expires_at)
    VALUES (reservation, of_branch, 'held', priced, at_time, expires)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RAISE 'reservation % was released meanwhile', reservation USING ERRCODE = '40001';
    END IF;
    INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)
    SELECT l.product_id, of_branch, -l.quantity, 'reserve', reservation, at_time
    FROM jsonb_to_recordset(priced) AS l (product_id bigint, quantity bigint)
    ORDER BY l.product_id;

    FOR line IN
        SELECT l.*, row_number() OVER (ORDER BY l.product_id) AS n
        FROM jsonb_to_recordset(priced) AS l (product_id bigint, quantity bigint)
        ORDER BY l.product_id
    LOOP
        UPDATE stock SET available = available - line.quantity, version = version + 1
        WHERE product_id = line.product_id AND branch = of_branch AND available >= line.quantity
        RETURNING available, version, sent, received INTO offer;
        -- An edit of the product waits for the same row: what is read now stays so until the commit.
        IF NOT FOUND OR NOT EXISTS (
            SELECT FROM products WHERE id = line.product_id
                AND version = CAST(offers[line.n] -> 'version' AS bigint))
        THEN
            RAISE 'product % changed meanwhile', line.product_id USING ERRCODE = '40001';
        END IF;
        INSERT INTO outbox (id, type, subject, time, data)
        VALUES (event_ids[line.n], 'stock.updated', offers[line.n] ->> 'sku', at_time,
            jsonb_build_object(
                'sku', offers[line.n] -> 'sku', 'product_id', line.product_id,
                'branch', of_branch, 'available', offer.available, 'version', offer.version,
                'sent', offer.sent, 'received', offer.received, 'product', offers[line.n]));
    END LOOP;
    RETURN jsonb_build_object('outcome', 'held', 'state', 'held', 'lines', priced,
        'expires_at', expires);
END
$$;
