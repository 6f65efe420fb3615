-- Up to `most` products that have all of these words (letters and digits, folded as the index has
-- them) and fit the filters, with what a list may be sorted by: who has the whole words, or words of
-- the same stem, comes before who has words that only begin so. Which ones, when more fit, is left open.
--
-- An index of words reads all that it has of a word before it shows one product, so a word that is
-- on each twentieth of a million products costs 50,000. The more common the words, the fewer products
-- fill the bound: the first ones have an index of their own, nine times as many have the next, and the
-- parts are read in turn, only until there are enough. No plan is left but indexes read as a whole.
CREATE FUNCTION fitting_products(
    words text[], on_sale boolean, of_category bigint, cheapest bigint, dearest bigint,
    at_branch text, is_in_stock boolean, most bigint)
RETURNS TABLE (id bigint, name_key text, price_cents bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off
SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
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
    RETURN QUERY SELECT p.id, p.name_key, p.price_cents FROM (
        SELECT * FROM products WHERE id <= 25000 AND search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id > 25000 AND id <= 250000 AND search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id > 250000 AND search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id <= 25000 AND search @@ begun AND NOT search @@ whole
        UNION ALL
        SELECT * FROM products
        WHERE id > 25000 AND id <= 250000 AND search @@ begun AND NOT search @@ whole
        UNION ALL
        SELECT * FROM products WHERE id > 250000 AND search @@ begun AND NOT search @@ whole
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
