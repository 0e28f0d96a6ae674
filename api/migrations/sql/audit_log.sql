-- The log that nobody can rewrite: staged events, their place in the tree, signed checkpoints, and where those went.
-- Both databases have it; each then says whose log it is.

CREATE SEQUENCE audit_event_numbers;

-- A domain, because its rules are read once a session: a table's CHECKs are read and planned anew by each statement.
CREATE DOMAIN audit_line AS bytea
    CONSTRAINT audit_events_size CHECK (octet_length(VALUE) <= 8192)
    -- Source: PCI DSS 10.2.2: user, type, time, success or failure, origination, affected data.
    CONSTRAINT audit_events_are_whole CHECK (
        (convert_from(VALUE, 'UTF8')::jsonb @@ '$.actor > "" && $.action > "" && $.at > "" && $.outcome > ""
            && $.origin > "" && $.subject > "" && $.v >= 1') IS TRUE
    );

-- One row is one event, written in the transaction of what it tells of. Its canonical bytes are what is hashed; nothing
-- ever re-serialises them. Its leaf is made of them here, so nobody can bring another. The transaction's number says
-- when it becomes final. Source of the leaf: RFC 6962 2.1: a leaf's hash begins with 0, a node's with 1.
CREATE TABLE audit_events (
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id        bigint NOT NULL DEFAULT nextval('audit_event_numbers'),
    staged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event     audit_line NOT NULL,
    leaf      bytea NOT NULL GENERATED ALWAYS AS (sha256('\x00'::bytea || event)) STORED,
    CONSTRAINT audit_events_pkey PRIMARY KEY (xid, id, staged_at)
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

-- Stages events whose canonical bytes were made by pci.audit_log.staging.lines_of: for those who have one statement.
CREATE FUNCTION stage_audit_events(p_events bytea[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO audit_events (event) SELECT event FROM unnest(p_events) AS event
$$;

REVOKE ALL ON FUNCTION audit_log_is_append_only, guard_audit_table, make_audit_partitions, drop_audit_events,
    stage_audit_events FROM PUBLIC;

