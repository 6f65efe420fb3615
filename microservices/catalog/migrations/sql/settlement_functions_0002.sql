-- What an order's event does to its reservation, once: the inbox and the effect commit together.
--   returns 'repeated', or the state that was found: held | committed | released | none
CREATE FUNCTION settle_reservation(
    of_event text, seen bigint, reservation text, order_status text, of_branch text,
    at_time timestamptz, event_ids text[]
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF NOT take_event('catalog', of_event, seen) THEN
        RETURN 'repeated';
    END IF;
    IF order_status = 'confirmed' THEN
        RETURN coalesce(commit_stock(reservation, at_time), 'none');
    END IF;
    RETURN release_stock(reservation, of_branch, false, at_time, event_ids);
END
$$;
