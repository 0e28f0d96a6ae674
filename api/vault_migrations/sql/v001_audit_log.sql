-- After audit_log.sql, which both databases have.

-- Whose log this is: the vault's. The application stages and cannot read; the sequencer seals and cannot stage for others.
GRANT INSERT (event) ON audit_events TO kopeyka_vault, kopeyka_vault_sequencer;
GRANT USAGE ON SEQUENCE audit_event_numbers TO kopeyka_vault, kopeyka_vault_sequencer;
GRANT EXECUTE ON FUNCTION stage_audit_events TO kopeyka_vault, kopeyka_vault_sequencer;
-- Hashes, sizes and roots say nothing of anybody: whoever must notice a log that was rolled back may read them.
GRANT SELECT ON audit_leaves, audit_checkpoints, audit_acceptances TO kopeyka_vault, kopeyka_vault_sequencer;
GRANT INSERT ON audit_acceptances TO kopeyka_vault, kopeyka_vault_sequencer;
GRANT SELECT ON audit_events, audit_events_rest, audit_exports TO kopeyka_vault_sequencer;
GRANT INSERT ON audit_leaves, audit_checkpoints, audit_exports TO kopeyka_vault_sequencer;
GRANT EXECUTE ON FUNCTION make_audit_partitions, drop_audit_events TO kopeyka_vault_sequencer;

-- What may be sealed: whole transactions after p_after below the horizon of running transactions, so that none that
-- commits late is passed over; at least p_limit leaves if there are so many, and the rest of their last transaction.
-- A STABLE function sees one snapshot, and the horizon is that snapshot's.
CREATE FUNCTION due_audit_leaves(p_after xid8, p_limit integer)
RETURNS TABLE (xid xid8, event_id bigint, book smallint, entry_id uuid, leaf bytea)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    v_horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_through xid8;
BEGIN
    SELECT e.xid INTO v_through FROM audit_events AS e
     WHERE e.xid > p_after AND e.xid < v_horizon ORDER BY e.xid OFFSET p_limit - 1 LIMIT 1;
    RETURN QUERY
    SELECT e.xid, e.id, NULL::smallint, NULL::uuid, e.leaf FROM audit_events AS e
     WHERE e.xid > p_after AND e.xid < v_horizon AND e.xid <= coalesce(v_through, v_horizon);
END $$;

-- The leaves from p_from, p_limit of them, with the bytes they are hashes of, where those are still there.
CREATE FUNCTION audit_lines(p_from bigint, p_limit integer) RETURNS TABLE (idx bigint, leaf bytea, line bytea)
LANGUAGE sql STABLE AS $$
    SELECT l.idx, l.leaf, e.event
      FROM (SELECT * FROM audit_leaves WHERE idx >= p_from ORDER BY idx LIMIT p_limit) AS l
      LEFT JOIN audit_events AS e ON e.xid = l.event_xid AND e.id = l.event_id
     ORDER BY l.idx
$$;
REVOKE ALL ON FUNCTION due_audit_leaves, audit_lines FROM PUBLIC;
GRANT EXECUTE ON FUNCTION due_audit_leaves, audit_lines TO kopeyka_vault_sequencer;
