-- The door: who may call, and what was answered under each idempotency key.

CREATE TABLE api_keys (
    id           text COLLATE "C" NOT NULL,
    name         text NOT NULL,
    merchant_id  text COLLATE "C",
    mode         text COLLATE "C" NOT NULL,
    hash         bytea NOT NULL,
    prefix       text COLLATE "C" NOT NULL,
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_on date,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_hash_key UNIQUE (hash),
    CONSTRAINT api_keys_hash_is_sha256 CHECK (octet_length(hash) = 32),
    CONSTRAINT api_keys_mode_is_known CHECK (mode IN ('test', 'live')),
    CONSTRAINT api_keys_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT api_keys_has_a_scope CHECK (cardinality(scopes) > 0)
);

-- One row is one request that was to be carried out once. A request in a single transaction
-- writes its row finished; one with a call to another system writes it started, with a lease.
CREATE TABLE idempotency_keys (
    created_at          timestamptz NOT NULL,
    finished_at         timestamptz,
    lease_until         timestamptz,
    attempt_no          integer NOT NULL DEFAULT 1,
    response_status     smallint,
    fingerprint_version smallint NOT NULL,
    fingerprint         bytea NOT NULL,
    field_digests       bytea NOT NULL,
    scope               text COLLATE "C" NOT NULL,
    key                 text COLLATE "C" NOT NULL,
    api_key_id          text COLLATE "C" NOT NULL,
    request_id          text COLLATE "C" NOT NULL,
    status              text COLLATE "C" NOT NULL,
    method              text COLLATE "C" NOT NULL,
    route               text COLLATE "C" NOT NULL,
    resource_id         text COLLATE "C",
    reason              text,
    content_type        text COLLATE "C",
    location            text COLLATE "C",
    response_body       bytea,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key),
    CONSTRAINT idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_status_is_known CHECK (status IN ('started', 'finished')),
    CONSTRAINT idempotency_keys_finished_has_answer CHECK (
        CASE status WHEN 'finished' THEN num_nulls(finished_at, response_status, content_type) = 0
                    ELSE num_nonnulls(finished_at, response_status, response_body) = 0 END
    ),
    CONSTRAINT idempotency_keys_answer_is_final CHECK (response_status < 500),
    CONSTRAINT idempotency_keys_attempt_positive CHECK (attempt_no > 0),
    CONSTRAINT idempotency_keys_started_has_lease CHECK (status = 'finished' OR lease_until IS NOT NULL)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_request_id ON idempotency_keys (request_id);
CREATE INDEX idempotency_keys_started ON idempotency_keys (created_at) WHERE status = 'started';

-- How far clearing has come: answers are emptied after 30 days, rows removed after 400.
CREATE TABLE idempotency_clearing (
    id                      boolean NOT NULL DEFAULT true,
    answers_cleared_through timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT idempotency_clearing_pkey PRIMARY KEY (id),
    CONSTRAINT idempotency_clearing_has_one_row CHECK (id)
);
INSERT INTO idempotency_clearing DEFAULT VALUES;

-- Takes a key for this transaction, unless another one has it. Nothing here waits.
-- Locks: an advisory lock on the key, tried.
CREATE FUNCTION take_key(p_scope text, p_key text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT pg_try_advisory_xact_lock(hashtextextended(p_scope || ' ' || p_key, 19282))
$$;

-- Takes the keys for this transaction and says what is known of them. A key that is free and new
-- has no row in the answer; one that another transaction holds is busy. Nothing here waits.
-- Locks: an advisory lock on each key, tried in the order given. The second statement sees what
-- was committed before the locks were taken, so a row is never missed.
CREATE FUNCTION known_keys(p_scopes text[], p_keys text[])
RETURNS TABLE (place integer, is_busy boolean, lease_is_over boolean, known idempotency_keys)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_is_free boolean[];
BEGIN
    SELECT array_agg(take_key(u.scope, u.key) ORDER BY u.place)
      INTO v_is_free
      FROM unnest(p_scopes, p_keys) WITH ORDINALITY AS u(scope, key, place);
    RETURN QUERY
    SELECT u.place::integer, NOT v_is_free[u.place], (f.known).lease_until <= clock_timestamp(), f.known
      FROM unnest(p_scopes, p_keys) WITH ORDINALITY AS u(scope, key, place)
      LEFT JOIN LATERAL (
           SELECT k AS known FROM idempotency_keys AS k
            WHERE v_is_free[u.place] AND k.scope = u.scope AND k.key = u.key LIMIT 1) AS f ON true
     WHERE NOT v_is_free[u.place] OR (f.known).key IS NOT NULL;
END $$;

-- Empties answers made before p_answers_before and removes rows made before p_rows_before,
-- at most p_limit of each, and says how many there were. The worker calls it until it says 0.
CREATE FUNCTION clear_idempotency_keys(p_answers_before timestamptz, p_rows_before timestamptz, p_limit integer)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_through timestamptz;
    v_last    timestamptz;
    v_emptied bigint;
    v_removed bigint;
BEGIN
    SELECT answers_cleared_through INTO v_through FROM idempotency_clearing FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    WITH old AS (
        SELECT scope, key, created_at FROM idempotency_keys
         WHERE created_at >= v_through AND created_at < p_answers_before AND response_body IS NOT NULL
         ORDER BY created_at LIMIT p_limit
    ), emptied AS (
        UPDATE idempotency_keys AS k SET response_body = NULL FROM old
         WHERE k.scope = old.scope AND k.key = old.key RETURNING 1
    )
    SELECT (SELECT count(*) FROM emptied), (SELECT max(created_at) FROM old) INTO v_emptied, v_last;
    UPDATE idempotency_clearing SET answers_cleared_through = coalesce(v_last, answers_cleared_through);

    WITH old AS (
        SELECT scope, key FROM idempotency_keys WHERE created_at < p_rows_before ORDER BY created_at LIMIT p_limit
    ), removed AS (
        DELETE FROM idempotency_keys AS k USING old WHERE k.scope = old.scope AND k.key = old.key RETURNING 1
    )
    SELECT count(*) INTO v_removed FROM removed;
    RETURN v_emptied + v_removed;
END $$;

GRANT SELECT, INSERT, UPDATE ON api_keys TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON idempotency_keys TO kopeyka_app;
GRANT EXECUTE ON FUNCTION take_key, known_keys, clear_idempotency_keys TO kopeyka_app;
