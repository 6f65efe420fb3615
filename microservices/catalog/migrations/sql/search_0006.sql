-- Up to `most` products that fit a search and its filters. Which ones, when more fit, is left open.
--
-- Where many products fit, a planner that knows only how many reads the whole shop in order of name
-- until it has met enough of them, and these may come last. So no plan but the index of words is
-- left to it, and the most bounds what is read of it.
CREATE FUNCTION matching_products(
    query tsquery, on_sale boolean, of_category bigint, cheapest bigint, dearest bigint,
    at_branch text, is_in_stock boolean, most bigint)
RETURNS SETOF bigint LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off AS $$
    SELECT id FROM products p
    WHERE search @@ query AND active = on_sale
        AND (of_category IS NULL OR category_id = of_category)
        AND (cheapest IS NULL OR price_cents >= cheapest)
        AND (dearest IS NULL OR price_cents <= dearest)
        AND (is_in_stock IS NULL OR EXISTS (
            SELECT FROM stock WHERE product_id = p.id AND branch = at_branch
                AND (available > 0) = is_in_stock))
    LIMIT most
$$;

-- What is off sale is little, and is listed and counted by itself.
CREATE INDEX products_off_sale ON products (name_key, id) WHERE NOT active;
