-- The log that nobody can rewrite: staged events, their place in the tree, signed checkpoints, and where those went.
-- pci/audit_log/README.md explains it. Up to the line "Whose log this is" both databases have the same text.

CREATE SEQUENCE audit_event_numbers;

-- One row is one event, written in the transaction of what it tells of. Its canonical bytes are what was hashed;
-- nothing ever re-serialises them. The transaction's number says when it becomes final.
CREATE TABLE audit_events (
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id        bigint NOT NULL DEFAULT nextval('audit_event_numbers'),
    staged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event     bytea NOT NULL,
    leaf      bytea NOT NULL,
    CONSTRAINT audit_events_pkey PRIMARY KEY (xid, id, staged_at),
    CONSTRAINT audit_events_size CHECK (octet_length(event) <= 8192),
    CONSTRAINT audit_events_leaf_is_of_event CHECK (leaf = sha256('\x00'::bytea || event)),
    -- Source: PCI DSS 10.2.2: user, type, time, success or failure, origination, affected data.
    CONSTRAINT audit_events_are_whole CHECK (
        (convert_from(event, 'UTF8')::jsonb @@ '$.actor > "" && $.action > "" && $.at > "" && $.outcome > ""
            && $.origin > "" && $.subject > "" && $.v >= 1') IS TRUE
    )
) PARTITION BY RANGE (staged_at);

-- The tree: leaf number idx is the hash of one event, or of one entry of the books, whose bytes are made again from
-- its postings when somebody asks. Never removed: after retention took an event, its hash still proves all others.
CREATE TABLE audit_leaves (
    idx       bigint NOT NULL,
    leaf      bytea NOT NULL,
    event_xid xid8,
    event_id  bigint,
    book      smallint,
    entry_id  uuid,
    CONSTRAINT audit_leaves_pkey PRIMARY KEY (idx) WITH (fillfactor = 100),
    CONSTRAINT audit_leaves_not_negative CHECK (idx >= 0),
    CONSTRAINT audit_leaves_leaf_is_sha256 CHECK (octet_length(leaf) = 32),
    CONSTRAINT audit_leaves_are_of_one_thing CHECK (
        (event_xid IS NULL) = (event_id IS NULL) AND (book IS NULL) = (entry_id IS NULL)
        AND (event_id IS NULL) <> (entry_id IS NULL)
    )
);
-- Nothing is sealed twice.
CREATE UNIQUE INDEX audit_leaves_event ON audit_leaves (event_id) WITH (fillfactor = 100) WHERE event_id IS NOT NULL;
CREATE UNIQUE INDEX audit_leaves_entry ON audit_leaves (book, entry_id) WHERE entry_id IS NOT NULL;

-- Everything of transactions up to sealed_through is sealed. The last row is the state of the sequencer.
CREATE TABLE audit_checkpoints (
    size           bigint NOT NULL,
    root           bytea NOT NULL,
    frontier       bytea NOT NULL,
    sealed_through xid8 NOT NULL,
    note           text NOT NULL,
    signed_at      timestamptz NOT NULL,
    CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (size),
    CONSTRAINT audit_checkpoints_size_positive CHECK (size > 0),
    CONSTRAINT audit_checkpoints_root_is_sha256 CHECK (octet_length(root) = 32),
    CONSTRAINT audit_checkpoints_frontier_of_hashes CHECK (
        octet_length(frontier) % 32 = 0 AND octet_length(frontier) BETWEEN 32 AND 2016
    )
);

-- A checkpoint counts as exported to a sink from this row on.
CREATE TABLE audit_exports (
    size        bigint NOT NULL,
    sink        text COLLATE "C" NOT NULL,
    exported_at timestamptz NOT NULL,
    CONSTRAINT audit_exports_pkey PRIMARY KEY (sink, size),
    CONSTRAINT audit_exports_size_fkey FOREIGN KEY (size) REFERENCES audit_checkpoints (size)
);

-- Two people accept that this database is older than, or other than, a checkpoint that was exported.
CREATE TABLE audit_acceptances (
    size        bigint NOT NULL,
    root        bytea NOT NULL,
    person      text COLLATE "C" NOT NULL,
    reason      text NOT NULL,
    accepted_at timestamptz NOT NULL,
    proof       bytea,
    CONSTRAINT audit_acceptances_pkey PRIMARY KEY (size, root, person),
    CONSTRAINT audit_acceptances_root_is_sha256 CHECK (octet_length(root) = 32),
    CONSTRAINT audit_acceptances_words CHECK (length(person) BETWEEN 1 AND 128 AND length(reason) BETWEEN 1 AND 500)
);

-- Nobody rewrites the log, the owner included. Triggers refuse, never compute.
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is forbidden: the log only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION guard_audit_table(p_table text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()', p_table || '_append_only', p_table);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', p_table, p_table || '_append_only');
END $$;

SELECT guard_audit_table(name)
  FROM unnest(ARRAY['audit_events', 'audit_leaves', 'audit_checkpoints', 'audit_exports', 'audit_acceptances']) AS name;

-- What arrives in a month without a partition goes here, so that no effect is ever without its event; the sealer alarms.
CREATE TABLE audit_events_rest PARTITION OF audit_events DEFAULT;
SELECT guard_audit_table('audit_events_rest');

-- Makes the partitions of this month and of the p_ahead months after it, and says how many were missing. UTC months.
CREATE FUNCTION make_audit_partitions(p_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    v_first date;
    v_name  text;
    v_made  integer := 0;
BEGIN
    FOR i IN 0 .. p_ahead LOOP
        v_first := date_trunc('month', clock_timestamp())::date + make_interval(months => i);
        v_name := 'audit_events_' || to_char(v_first, 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || v_name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I.%I PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)', 'public',
                       v_name, v_first::timestamptz, (v_first + interval '1 month')::timestamptz);
        PERFORM guard_audit_table(v_name);
        v_made := v_made + 1;
    END LOOP;
    RETURN v_made;
END $$;
SELECT make_audit_partitions(3);

-- Retention: drops the months that ended p_months ago or more and says how many. Their leaf hashes stay.
-- Refuses to drop below twelve months, and what is not sealed yet. Source: PCI DSS 10.5.1.
CREATE FUNCTION drop_audit_events(p_months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET timezone = 'UTC' AS $$
DECLARE
    v_part    record;
    v_is_open boolean;
    v_dropped integer := 0;
    v_before  text := 'audit_events_' || to_char(clock_timestamp() - make_interval(months => p_months), 'YYYY_MM');
BEGIN
    IF p_months < 12 THEN
        RAISE EXCEPTION 'events are kept for twelve months at least, not %', p_months
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_events_kept_a_year', TABLE = 'audit_events';
    END IF;
    FOR v_part IN
        SELECT c.relname AS name FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'audit_events'::regclass AND c.relname ~ '^audit_events_\d{4}_\d{2}$'
           AND c.relname COLLATE "C" < v_before COLLATE "C"
         ORDER BY 1
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I AS e
            WHERE NOT EXISTS (SELECT 1 FROM audit_leaves AS l WHERE l.event_id = e.id))', v_part.name) INTO v_is_open;
        CONTINUE WHEN v_is_open;
        EXECUTE format('DROP TABLE public.%I', v_part.name);
        v_dropped := v_dropped + 1;
    END LOOP;
    RETURN v_dropped;
END $$;

-- Stages events whose canonical bytes and leaves were made by pci.audit_log.staging.leaves_of: for functions that do
-- their effect and its events in one statement.
CREATE FUNCTION stage_audit_events(p_events bytea[], p_leaves bytea[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO audit_events (event, leaf) SELECT e.event, e.leaf FROM unnest(p_events, p_leaves) AS e(event, leaf)
$$;

REVOKE ALL ON FUNCTION audit_log_is_append_only, guard_audit_table, make_audit_partitions, drop_audit_events,
    stage_audit_events FROM PUBLIC;

-- Whose log this is: the books'. The application stages and cannot read; the sequencer seals and cannot stage for others.
GRANT INSERT (event, leaf) ON audit_events TO kopeyka_app, kopeyka_sequencer;
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
