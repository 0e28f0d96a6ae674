-- The lines of the audit log that name some objects, for the story of an incident. The application stages and cannot
-- read the log at large: by this function it sees lines about ids of ours that it can name, and nothing else.
CREATE FUNCTION audit_lines_about(p_ids text[], p_since timestamptz, p_limit integer)
RETURNS TABLE (event bytea, idx bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_any text := (SELECT string_agg(id, '|') FROM unnest(p_ids) AS id);
BEGIN
    IF EXISTS (SELECT FROM unnest(p_ids) AS id WHERE id IS NULL OR id !~ '^[a-z]{2,4}_[0-9A-Za-z]{20,40}$') THEN
        RAISE EXCEPTION 'only ids are looked for in the log' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF v_any IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.event::bytea, l.idx FROM audit_events AS e LEFT JOIN audit_leaves AS l ON l.event_id = e.id
     WHERE e.staged_at >= p_since AND convert_from(e.event, 'UTF8') ~ v_any
     ORDER BY e.id LIMIT p_limit;
END $$;
REVOKE ALL ON FUNCTION audit_lines_about FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_lines_about TO kopeyka_app;
