-- After audit_log.sql, which both databases have.

-- Whose log this is: the books'. The application stages and cannot read; the sequencer seals and cannot stage for others.
GRANT INSERT (event) ON audit_events TO kopeyka_app, kopeyka_sequencer;
GRANT USAGE ON SEQUENCE audit_event_numbers TO kopeyka_app, kopeyka_sequencer;
GRANT EXECUTE ON FUNCTION stage_audit_events TO kopeyka_app, kopeyka_sequencer;
-- Hashes, sizes and roots say nothing of anybody: whoever must notice a log that was rolled back may read them.
GRANT SELECT ON audit_leaves, audit_checkpoints, audit_acceptances TO kopeyka_app, kopeyka_sequencer;
GRANT INSERT ON audit_acceptances TO kopeyka_sequencer;
GRANT SELECT ON audit_events, audit_events_rest, audit_exports TO kopeyka_sequencer;
GRANT INSERT ON audit_leaves, audit_checkpoints, audit_exports TO kopeyka_sequencer;
GRANT EXECUTE ON FUNCTION make_audit_partitions, drop_audit_events TO kopeyka_sequencer;

-- Every entry of the books is a leaf too, at no cost to the booking: its bytes are made here from its postings, in one
-- form for ever. A posting that is edited gives other bytes than those whose hash was sealed. Names sorted.
CREATE VIEW audit_entries AS
SELECT p.xid, p.book, p.entry_id, convert_to(
           '{"body_hash":"' || p.body_hash || '","book":' || to_json(b.name) || ',"entry_id":"' || p.entry_id
           || '","happened_at":"' || to_char(p.happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || '","kind":' || to_json(p.kind) || ',"metadata":' || to_json(coalesce(p.metadata::text, ''))
           || ',"postings":[' || legs.shown || '],"recorded_at":"'
           || to_char(p.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || '","reference":' || to_json(p.reference) || ',"v":1}', 'UTF8') AS event
  FROM postings AS p
  JOIN books AS b ON b.number = p.book
 CROSS JOIN LATERAL (
    SELECT string_agg('{"amount":' || q.amount || ',"commodity":' || to_json(q.commodity)
               || ',"credit":' || to_json(c.code) || ',"credit_balance":' || q.credit_balance
               || ',"credit_version":' || q.credit_version || ',"debit":' || to_json(d.code)
               || ',"debit_balance":' || q.debit_balance || ',"debit_version":' || q.debit_version
               || ',"number":' || q.number || '}', ',' ORDER BY q.number) AS shown
      FROM postings AS q
      JOIN accounts AS d ON d.book = q.book AND d.number = q.debit
      JOIN accounts AS c ON c.book = q.book AND c.number = q.credit
     WHERE q.book = p.book AND q.entry_id = p.entry_id
 ) AS legs
 WHERE p.number = 1;

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
    SELECT full_at.xid INTO v_through FROM (
        (SELECT e.xid FROM audit_events AS e
          WHERE e.xid > p_after AND e.xid < v_horizon ORDER BY e.xid OFFSET p_limit - 1 LIMIT 1)
        UNION ALL
        SELECT p.xid FROM books AS b CROSS JOIN LATERAL (
            SELECT q.xid FROM postings AS q
             WHERE q.book = b.number AND q.number = 1 AND q.xid > p_after AND q.xid < v_horizon
             ORDER BY q.xid OFFSET p_limit - 1 LIMIT 1) AS p
    ) AS full_at ORDER BY full_at.xid LIMIT 1;
    RETURN QUERY
    SELECT e.xid, e.id, NULL::smallint, NULL::uuid, e.leaf FROM audit_events AS e
     WHERE e.xid > p_after AND e.xid < v_horizon AND e.xid <= coalesce(v_through, v_horizon)
    UNION ALL
    SELECT e.xid, NULL, e.book, e.entry_id, sha256('\x00'::bytea || e.event) FROM audit_entries AS e
     WHERE e.xid > p_after AND e.xid < v_horizon AND e.xid <= coalesce(v_through, v_horizon);
END $$;

-- The leaves from p_from, p_limit of them, with the bytes they are hashes of, where those are still there.
CREATE FUNCTION audit_lines(p_from bigint, p_limit integer) RETURNS TABLE (idx bigint, leaf bytea, line bytea)
LANGUAGE sql STABLE AS $$
    SELECT l.idx, l.leaf, coalesce(e.event, n.event)
      FROM (SELECT * FROM audit_leaves WHERE idx >= p_from ORDER BY idx LIMIT p_limit) AS l
      LEFT JOIN audit_events AS e ON e.xid = l.event_xid AND e.id = l.event_id
      LEFT JOIN audit_entries AS n ON n.book = l.book AND n.entry_id = l.entry_id
     ORDER BY l.idx
$$;

-- The proof "every entry is a leaf": entries of finished transactions up to the last checkpoint without their leaf, and
-- entries whose postings no longer give the bytes that were sealed.
CREATE FUNCTION entries_without_their_leaf(p_book integer) RETURNS TABLE (entry_id uuid, idx bigint, flaw text)
LANGUAGE sql STABLE AS $$
    SELECT n.entry_id, l.idx, CASE WHEN l.idx IS NULL THEN 'not a leaf' ELSE 'edited after it was sealed' END
      FROM audit_entries AS n
      LEFT JOIN audit_leaves AS l ON l.book = n.book AND l.entry_id = n.entry_id
     WHERE n.book = p_book
       AND n.xid <= coalesce((SELECT sealed_through FROM audit_checkpoints ORDER BY size DESC LIMIT 1), '0')
       AND (l.leaf = sha256('\x00'::bytea || n.event)) IS NOT TRUE
    UNION ALL
    SELECT l.entry_id, l.idx, 'a leaf without its entry'
      FROM audit_leaves AS l
     WHERE l.book = p_book
       AND NOT EXISTS (SELECT 1 FROM postings AS p WHERE p.book = l.book AND p.entry_id = l.entry_id AND p.number = 1)
$$;
REVOKE ALL ON FUNCTION due_audit_leaves, audit_lines, entries_without_their_leaf FROM PUBLIC;
GRANT SELECT ON audit_entries TO kopeyka_sequencer;
GRANT EXECUTE ON FUNCTION due_audit_leaves, audit_lines TO kopeyka_sequencer;
GRANT EXECUTE ON FUNCTION entries_without_their_leaf TO kopeyka_app, kopeyka_sequencer;
GRANT SELECT ON audit_entries TO kopeyka_app;
