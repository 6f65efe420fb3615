-- Stock of other branches is a copy (`replica`), ordered by (epoch, version) of its owner. `sent` and
-- `received` count the units that ever left or came by transfers, so that a branch that was set back
-- can tell what it had sold from what it had moved.
ALTER TABLE stock
    ADD COLUMN replica boolean NOT NULL DEFAULT false,
    ADD COLUMN epoch bigint NOT NULL DEFAULT 0,
    ADD COLUMN sent bigint NOT NULL DEFAULT 0,
    ADD COLUMN received bigint NOT NULL DEFAULT 0;

-- Every row there is meets the narrower one that was there before.
ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_kind;
ALTER TABLE stock_movements ADD CONSTRAINT stock_movements_kind
    CHECK (kind IN ('supply', 'adjust', 'reserve', 'release', 'return', 'transfer')) NOT VALID;

-- Each end has its own row of a transfer. `sent`: in transit, as far as this end knows.
CREATE TABLE stock_transfers (
    id text PRIMARY KEY,
    sku text NOT NULL,
    from_branch text NOT NULL,
    to_branch text NOT NULL,
    quantity bigint NOT NULL CONSTRAINT stock_transfers_moves CHECK (quantity > 0),
    state text NOT NULL CONSTRAINT stock_transfers_state CHECK (state IN ('sent', 'received')),
    at timestamptz NOT NULL
);
CREATE INDEX stock_transfers_in_transit ON stock_transfers (from_branch) WHERE state = 'sent';

CREATE OR REPLACE FUNCTION stock_snapshot(of_product bigint, of_branch text)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'sku', p.sku, 'product_id', p.id, 'branch', s.branch,
        'available', s.available, 'version', s.version,
        'sent', s.sent, 'received', s.received,
        'product', jsonb_build_object(
            'id', p.id, 'sku', p.sku, 'name', p.name, 'description', p.description,
            'category', jsonb_build_object('id', c.id, 'slug', c.slug, 'name', c.name),
            'price_cents', p.price_cents, 'currency', p.currency,
            'image_url', p.image_url, 'active', p.active, 'version', p.version))
    FROM stock s JOIN products p ON p.id = s.product_id JOIN categories c ON c.id = p.category_id
    WHERE s.product_id = of_product AND s.branch = of_branch);
END
$$;

-- What a branch that was set back believed to have when it closed, and what it held for orders.
CREATE TABLE closed_stock (
    product_id bigint PRIMARY KEY REFERENCES products (id),
    version bigint NOT NULL,
    available bigint NOT NULL,
    sent bigint NOT NULL,
    received bigint NOT NULL,
    held bigint NOT NULL
);

-- A branch that was set back may have sold or moved what it believes to have. So it begins with
-- nothing to sell, until its peers have said what they know. Repeating it changes nothing.
CREATE FUNCTION close_stock(of_branch text, at_time timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    mark text;
BEGIN
    UPDATE branch_state SET rejoining = true, epoch = epoch + 1 WHERE NOT rejoining
    RETURNING 'rejoin:' || epoch INTO mark;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM stock WHERE branch = of_branch ORDER BY product_id FOR NO KEY UPDATE;
    DELETE FROM closed_stock;
    INSERT INTO closed_stock
    SELECT s.product_id, s.version, s.available, s.sent, s.received, coalesce(h.units, 0)
    FROM stock s LEFT JOIN (
        SELECT l.product_id, sum(l.quantity) AS units FROM reservations r,
            jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
        WHERE r.state = 'held' AND r.branch = of_branch GROUP BY l.product_id
    ) h ON h.product_id = s.product_id
    WHERE s.branch = of_branch;
    INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)
    SELECT product_id, branch, -available, 'adjust', mark, at_time
    FROM stock WHERE branch = of_branch AND available > 0;
    UPDATE stock SET available = 0, version = version + 1 WHERE branch = of_branch;
    RETURN true;
END
$$;
