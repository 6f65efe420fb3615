-- Up to `most` products that have all of these words (letters and digits, folded as the index has
-- them) and fit the filters: who has the whole words, or words of the same stem, comes before who has
-- words that only begin so. Which ones, when more fit, is left open.
--
-- An index of words reads all that it has of a word before it shows one product, so a word that is
-- on each twentieth of a million products costs 50,000. A word as common as that fills the bound
-- out of the first products alone, which have an index of their own: the parts are read in turn,
-- and only until there are enough. As in `matching_products`, no plan but these indexes is left.
CREATE FUNCTION find_products(
    words text[], on_sale boolean, of_category bigint, cheapest bigint, dearest bigint,
    at_branch text, is_in_stock boolean, most bigint)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off
SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    word text;
    stem tsquery;
    one tsquery;
    whole tsquery;
    begun tsquery;
BEGIN
    FOREACH word IN ARRAY words LOOP
        stem := plainto_tsquery('pg_catalog.portuguese', word);
        one := to_tsquery('pg_catalog.simple', word) || stem;
        whole := coalesce(whole && one, one);
        one := to_tsquery('pg_catalog.simple', word || ':*') || stem;
        begun := coalesce(begun && one, one);
    END LOOP;
    RETURN QUERY SELECT p.id FROM (
        SELECT * FROM products WHERE id <= 25000 AND search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id > 25000 AND search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id <= 25000 AND search @@ begun AND NOT search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id > 25000 AND search @@ begun AND NOT search @@ whole
    ) p
    WHERE p.active = on_sale
        AND (of_category IS NULL OR p.category_id = of_category)
        AND (cheapest IS NULL OR p.price_cents >= cheapest)
        AND (dearest IS NULL OR p.price_cents <= dearest)
        AND (is_in_stock IS NULL OR EXISTS (
            SELECT FROM stock WHERE product_id = p.id AND branch = at_branch
                AND (available > 0) = is_in_stock))
    LIMIT most;
END
$$;
