-- The hot functions of 0001 with every statement in PL/pgSQL, which plans it once per connection: one
-- of the language SQL, called from there, is planned anew at every call.

CREATE OR REPLACE FUNCTION stock_snapshot(of_product bigint, of_branch text)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'sku', p.sku, 'product_id', p.id, 'branch', s.branch,
        'available', s.available, 'version', s.version,
        'product', jsonb_build_object(
            'id', p.id, 'sku', p.sku, 'name', p.name, 'description', p.description,
            'category', jsonb_build_object('id', c.id, 'slug', c.slug, 'name', c.name),
            'price_cents', p.price_cents, 'currency', p.currency,
            'image_url', p.image_url, 'active', p.active, 'version', p.version))
    FROM stock s JOIN products p ON p.id = s.product_id JOIN categories c ON c.id = p.category_id
    WHERE s.product_id = of_product AND s.branch = of_branch);
END
$$;

CREATE OR REPLACE FUNCTION move_lines(
    reservation text, of_branch text, lines jsonb, sign int, how text, at_time timestamptz,
    event_ids text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
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
END
$$;

-- The planner takes every order for one of a hundred lines, and so would read all of a small shop's
-- stock for each statement on it. An order has a few lines: row by row through the index.
ALTER FUNCTION reserve_stock(text, text, jsonb, timestamptz, timestamptz, text[])
    SET enable_hashjoin = off SET enable_mergejoin = off;
ALTER FUNCTION release_stock(text, text, boolean, timestamptz, text[])
    SET enable_hashjoin = off SET enable_mergejoin = off;
