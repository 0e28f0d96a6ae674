-- Cards, sealed, and the tokens that stand for them --------------------------------------------------

-- A row is one card of one scope. It is found by its token, and by the keyed digest of its number; what it holds opens
-- only under the key, the token and the merchant it was sealed for.
CREATE TABLE cards (
    number            bigint GENERATED ALWAYS AS IDENTITY,
    tokenized_at      timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    expires_at        timestamptz,
    ended_at          timestamptz,
    key_number        integer,
    fingerprint_key   integer,
    digits            smallint NOT NULL,
    merchant_id       text COLLATE "C" NOT NULL,
    token             text COLLATE "C" NOT NULL,
    digits_token      text COLLATE "C",
    status            text COLLATE "C" NOT NULL DEFAULT 'active',
    first6            text COLLATE "C" NOT NULL,
    last4             text COLLATE "C" NOT NULL,
    scheme            text COLLATE "C" NOT NULL,
    expires           text COLLATE "C" NOT NULL,
    fingerprint_scope text COLLATE "C" NOT NULL,
    fingerprint_id    text COLLATE "C" NOT NULL,
    fingerprint       bytea,
    pan_sealed        bytea,
    holder_sealed     bytea,
    restrictions      jsonb,
    -- By merchant and then by time: cards are walked over merchant by merchant (keys are a merchant's, and so is a file).
    CONSTRAINT cards_pkey PRIMARY KEY (merchant_id, number),
    CONSTRAINT cards_token_key UNIQUE (token),
    CONSTRAINT cards_fingerprint_key UNIQUE (fingerprint_scope, fingerprint_key, fingerprint)
);
CREATE UNIQUE INDEX cards_digits_token_key ON cards (digits_token) WHERE digits_token IS NOT NULL;
CREATE INDEX cards_expiring ON cards (expires_at) WHERE expires_at IS NOT NULL AND status = 'active';

-- What each row must be. Checks of the table would say the same, but PostgreSQL reads every check anew for each
-- statement, which took longer than keeping the card; a trigger's function is read once a session. Neither lengths nor
-- places are told by the patterns: each place is a state to be made anew, and to look for one wrong character takes one.
CREATE FUNCTION card_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_broken text;
BEGIN
    v_broken := CASE
        WHEN (octet_length(NEW.merchant_id) <= 44 AND NEW.merchant_id ~ '^[a-z]{3}_[0-9A-Za-z]+$') IS FALSE
        THEN 'cards_merchant_form'
        WHEN (octet_length(NEW.token) = 29 AND starts_with(NEW.token, 'tok_')
              AND substr(NEW.token, 5) !~ '[^0-9A-Za-z]') IS FALSE
        THEN 'cards_token_form'
        WHEN (NEW.digits_token ~ '^9999[0-9]{9,15}$' AND length(NEW.digits_token) = NEW.digits) IS FALSE
        THEN 'cards_digits_token_form'
        WHEN (NEW.status IN ('active', 'expired', 'deleted', 'shredded')) IS FALSE THEN 'cards_status_is_known'
        WHEN (octet_length(NEW.first6) = 6 AND NEW.first6 !~ '[^0-9]') IS FALSE THEN 'cards_first6_is_digits'
        WHEN (octet_length(NEW.last4) = 4 AND NEW.last4 !~ '[^0-9]') IS FALSE THEN 'cards_last4_is_digits'
        WHEN (NEW.digits BETWEEN 13 AND 19) IS FALSE THEN 'cards_digits_in_range'
        WHEN (octet_length(NEW.scheme) BETWEEN 2 AND 16 AND NEW.scheme !~ '[^a-z]') IS FALSE
        THEN 'cards_scheme_form'
        WHEN (NEW.expires LIKE '20__-__' AND right(NEW.expires, 2) BETWEEN '01' AND '12'
              AND substr(NEW.expires, 3, 2) || right(NEW.expires, 2) !~ '[^0-9]') IS FALSE
        THEN 'cards_expires_is_a_month'
        WHEN (NEW.fingerprint_scope = NEW.merchant_id
              OR (starts_with(NEW.fingerprint_scope, NEW.merchant_id || '/')
                  AND NEW.fingerprint_scope ~ '^[^/]+/[a-z0-9_]{1,32}$')) IS FALSE
        THEN 'cards_scope_is_the_merchants'
        WHEN (octet_length(NEW.fingerprint_id) = 29 AND starts_with(NEW.fingerprint_id, 'fpr_')
              AND substr(NEW.fingerprint_id, 5) !~ '[^0-9A-Za-z]') IS FALSE
        THEN 'cards_fingerprint_id_form'
        WHEN (octet_length(NEW.fingerprint) = 32) IS FALSE THEN 'cards_fingerprint_length'
        WHEN (num_nulls(NEW.fingerprint, NEW.fingerprint_key) IN (0, 2)) IS FALSE
        THEN 'cards_fingerprint_has_its_key'
        WHEN (CASE WHEN NEW.status = 'active' THEN num_nulls(NEW.pan_sealed, NEW.key_number) = 0
                   ELSE num_nonnulls(NEW.pan_sealed, NEW.key_number, NEW.holder_sealed, NEW.fingerprint,
                                     NEW.fingerprint_key) = 0 END) IS FALSE
        THEN 'cards_sealed_while_active'
        WHEN ((NEW.status = 'active') = (NEW.ended_at IS NULL)) IS FALSE THEN 'cards_ended_when_not_active'
        WHEN (octet_length(NEW.pan_sealed) BETWEEN 47 AND 64
              AND octet_length(NEW.holder_sealed) BETWEEN 35 AND 512) IS FALSE
        THEN 'cards_sealed_length'
        WHEN (jsonb_typeof(NEW.restrictions) = 'object' AND NEW.restrictions <> '{}'
              AND NEW.restrictions - '{channels,hosts,amount_max_kopecks,currency,usable_from,usable_until}'::text[]
                  = '{}') IS FALSE
        THEN 'cards_restrictions_are_known'
    END;
    IF v_broken IS NOT NULL THEN
        RAISE EXCEPTION 'new row for relation "cards" violates "%"', v_broken
            USING ERRCODE = 'check_violation', CONSTRAINT = v_broken, TABLE = 'cards';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cards_rows_are_whole BEFORE INSERT OR UPDATE ON cards FOR EACH ROW EXECUTE FUNCTION card_is_whole();
ALTER TABLE cards ENABLE ALWAYS TRIGGER cards_rows_are_whole;

-- Statuses end, and what stands in a mask, a token and a scope stands for ever.
CREATE FUNCTION card_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'active' THEN
        RAISE EXCEPTION 'a card that has ended does not change' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'cards_ended_is_final';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cards_ended_is_final BEFORE UPDATE ON cards
    FOR EACH ROW WHEN (OLD.status <> 'active') EXECUTE FUNCTION card_is_fixed();

-- What tokenizing one card came to. ``ended_token`` is the token that had expired and was ended on the way.
CREATE TYPE tokenized_card AS (
    place            integer,
    token            text,
    digits_token     text,
    fingerprint_id   text,
    expires          text,
    expires_at       timestamptz,
    tokenized_at     timestamptz,
    restrictions     jsonb,
    key_number       integer,
    holder_sealed    bytea,
    is_new           boolean,
    metadata_changed boolean,
    ended_token      text
);

-- Takes one card or thousands, of any merchants. The same number in the same scope keeps its token, whoever is first.
-- During a change of a fingerprint key a card known by the old digest is moved to the new one on the way: a caller who
-- did not bring the old digests (NULL) gets no row back and nothing is done.
-- A process that has not heard yet that a merchant's keys are destroyed is told by KP011: one look at keys a statement.
-- Locks: rows of cards met again, in the order of their scopes and digests.
CREATE FUNCTION tokenize_cards(
    p_now timestamptz, p_tokens text[], p_merchants text[], p_scopes text[],
    p_fingerprint_keys integer[], p_fingerprints bytea[], p_old_keys integer[], p_old_fingerprints bytea[],
    p_fingerprint_ids text[], p_key_numbers integer[], p_pans bytea[], p_holders bytea[],
    p_first6 text[], p_last4 text[], p_digits smallint[], p_schemes text[], p_expires text[],
    p_digits_tokens text[], p_expires_at timestamptz[], p_restrictions jsonb[]
) RETURNS SETOF tokenized_card
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_new          integer;
    v_again        integer;
    v_ended        text[] = '{}';
    v_ended_places integer[] = '{}';
    v_changed      integer[];
BEGIN
    IF EXISTS (SELECT FROM keys WHERE number = ANY (p_key_numbers) AND state = 'destroyed') THEN
        RAISE EXCEPTION 'the key of these cards is destroyed' USING ERRCODE = 'KP011';
    END IF;
    IF p_old_keys IS NULL THEN
        IF EXISTS (SELECT FROM rotations WHERE kind = 'fingerprint' AND status <> 'done' AND scope = ANY (p_merchants)) THEN
            RETURN;
        END IF;
    ELSE
        UPDATE cards AS c SET fingerprint_key = a.key, fingerprint = a.digest, changed_at = p_now
          FROM unnest(p_scopes, p_fingerprint_keys, p_fingerprints, p_old_keys, p_old_fingerprints)
               AS a (scope, key, digest, old_key, old_digest)
         WHERE c.fingerprint_scope = a.scope AND c.fingerprint_key = a.old_key AND c.fingerprint = a.old_digest
           AND NOT EXISTS (SELECT FROM cards AS o WHERE o.fingerprint_scope = a.scope
                                                    AND o.fingerprint_key = a.key AND o.fingerprint = a.digest);
    END IF;

    FOR v_again IN 1..2 LOOP
        INSERT INTO cards (tokenized_at, changed_at, expires_at, key_number, fingerprint_key, digits, merchant_id, token,
                           digits_token, first6, last4, scheme, expires, fingerprint_scope, fingerprint_id, fingerprint,
                           pan_sealed, holder_sealed, restrictions)
        SELECT p_now, p_now, a.expires_at, a.key_number, a.fingerprint_key, a.digits, a.merchant_id, a.token,
               a.digits_token, a.first6, a.last4, a.scheme, a.expires, a.scope, a.fingerprint_id, a.fingerprint,
               a.pan, a.holder, a.restrictions
          FROM unnest(p_tokens, p_merchants, p_scopes, p_fingerprint_keys, p_fingerprints, p_fingerprint_ids,
                      p_key_numbers, p_pans, p_holders, p_first6, p_last4, p_digits, p_schemes, p_expires,
                      p_digits_tokens, p_expires_at, p_restrictions) WITH ORDINALITY
               AS a (token, merchant_id, scope, fingerprint_key, fingerprint, fingerprint_id,
                     key_number, pan, holder, first6, last4, digits, scheme, expires,
                     digits_token, expires_at, restrictions, place)
         ORDER BY a.scope, a.fingerprint, a.place
            ON CONFLICT ON CONSTRAINT cards_fingerprint_key DO NOTHING;
        GET DIAGNOSTICS v_new = ROW_COUNT;
        IF v_again = 1 AND v_new = cardinality(p_tokens) THEN
            RETURN QUERY
            SELECT a.place::integer, a.token, a.digits_token, a.fingerprint_id, a.expires, a.expires_at, p_now,
                   a.restrictions, a.key_number, NULL::bytea, true, false, NULL::text
              FROM unnest(p_tokens, p_digits_tokens, p_fingerprint_ids, p_expires, p_expires_at, p_restrictions,
                          p_key_numbers) WITH ORDINALITY
                   AS a (token, digits_token, fingerprint_id, expires, expires_at, restrictions, key_number, place);
            RETURN;
        END IF;
        EXIT WHEN v_again = 2;

        WITH met AS (
            SELECT c.merchant_id, c.number, a.place
              FROM unnest(p_scopes, p_fingerprint_keys, p_fingerprints) WITH ORDINALITY AS a (scope, key, digest, place)
              JOIN cards AS c ON c.fingerprint_scope = a.scope AND c.fingerprint_key = a.key AND c.fingerprint = a.digest
             WHERE c.expires_at <= p_now
             ORDER BY c.fingerprint_scope, c.fingerprint FOR UPDATE OF c
        ), ended AS (
            UPDATE cards AS c SET status = 'expired', ended_at = p_now, changed_at = p_now, key_number = NULL,
                   pan_sealed = NULL, holder_sealed = NULL, fingerprint = NULL, fingerprint_key = NULL
              FROM met WHERE c.merchant_id = met.merchant_id AND c.number = met.number
            RETURNING met.place::integer AS place, c.token
        )
        SELECT coalesce(array_agg(ended.place), '{}'), coalesce(array_agg(ended.token), '{}')
          INTO v_ended_places, v_ended FROM ended;
        EXIT WHEN v_ended = '{}';
    END LOOP;

    SELECT array_agg(met.place) INTO v_changed FROM (
        SELECT a.place::integer AS place
          FROM unnest(p_tokens, p_scopes, p_fingerprint_keys, p_fingerprints, p_expires) WITH ORDINALITY
               AS a (token, scope, key, digest, expires, place)
          JOIN cards AS c ON c.fingerprint_scope = a.scope AND c.fingerprint_key = a.key AND c.fingerprint = a.digest
         WHERE c.token <> a.token AND c.expires <> a.expires
         ORDER BY c.fingerprint_scope, c.fingerprint FOR UPDATE OF c
    ) AS met;

    UPDATE cards AS c
       SET expires = a.expires, changed_at = p_now, digits_token = coalesce(c.digits_token, a.digits_token),
           expires_at = CASE WHEN a.expires_at IS NOT NULL THEN greatest(c.expires_at, a.expires_at) END
      FROM (SELECT DISTINCT ON (scope, digest) *
              FROM unnest(p_tokens, p_scopes, p_fingerprint_keys, p_fingerprints, p_expires, p_digits_tokens,
                          p_expires_at) WITH ORDINALITY
                   AS a (token, scope, key, digest, expires, digits_token, expires_at, place)
             ORDER BY scope, digest, place DESC) AS a
     WHERE c.fingerprint_scope = a.scope AND c.fingerprint_key = a.key AND c.fingerprint = a.digest
       AND (c.expires <> a.expires OR (c.digits_token IS NULL AND a.digits_token IS NOT NULL)
            OR (c.expires_at IS NOT NULL AND (a.expires_at IS NULL OR a.expires_at > c.expires_at)));

    RETURN QUERY
    SELECT a.place::integer, c.token, c.digits_token, c.fingerprint_id, c.expires, c.expires_at, c.tokenized_at,
           c.restrictions, c.key_number, c.holder_sealed, c.token = a.token,
           a.place = ANY (coalesce(v_changed, '{}')), v_ended[array_position(v_ended_places, a.place::integer)]
      FROM unnest(p_tokens, p_scopes, p_fingerprint_keys, p_fingerprints) WITH ORDINALITY
           AS a (token, scope, key, digest, place)
      JOIN cards AS c ON c.fingerprint_scope = a.scope AND c.fingerprint_key = a.key AND c.fingerprint = a.digest;
END $$;

-- A new card with the line of the log that tells of it, as keep_new_cards takes it.
CREATE TYPE new_card AS (
    token           text,
    merchant_id     text,
    scope           text,
    fingerprint_key integer,
    fingerprint     bytea,
    fingerprint_id  text,
    key_number      integer,
    pan             bytea,
    holder          bytea,
    first6          text,
    last4           text,
    digits          smallint,
    scheme          text,
    expires         text,
    digits_token    text,
    expires_at      timestamptz,
    restrictions    jsonb,
    event           bytea
);

-- The short road of tokenize_cards: cards that are all new, with their events, as one statement. Anything else (a card
-- that is known; KP010: a key of p_keys destroyed, or a fingerprint key of p_merchants changing) does nothing, and the
-- caller takes the long road. The cards come in the order of their scopes and digests, so that two statements with the
-- same cards wait for each other and do not lock each other out. One array of rows and not an array a column: seventeen
-- take longer to be read and laid side by side than all the checks of a card.
-- Its caller's connection says how it is planned: a SET of its own would be set and unset at each call.
CREATE FUNCTION keep_new_cards(p_now timestamptz, p_keys integer[], p_merchants text[], p_cards new_card[])
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cards (tokenized_at, changed_at, expires_at, key_number, fingerprint_key, digits, merchant_id, token,
                       digits_token, first6, last4, scheme, expires, fingerprint_scope, fingerprint_id, fingerprint,
                       pan_sealed, holder_sealed, restrictions)
    SELECT p_now, p_now, a.expires_at, a.key_number, a.fingerprint_key, a.digits, a.merchant_id, a.token,
           a.digits_token, a.first6, a.last4, a.scheme, a.expires, a.scope, a.fingerprint_id, a.fingerprint,
           a.pan, a.holder, a.restrictions
      FROM unnest(p_cards) AS a
     WHERE NOT EXISTS (SELECT FROM keys WHERE number = ANY (p_keys) AND state = 'destroyed')
       AND NOT EXISTS (SELECT FROM rotations
                        WHERE kind = 'fingerprint' AND status <> 'done' AND scope = ANY (p_merchants));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a key of these cards is destroyed, or a fingerprint key is changing' USING ERRCODE = 'KP010';
    END IF;
    INSERT INTO audit_events (event) SELECT a.event FROM unnest(p_cards) AS a;
    RETURN cardinality(p_cards);
END $$;

GRANT SELECT, INSERT ON cards TO kopeyka_vault;
GRANT UPDATE (changed_at, expires_at, ended_at, key_number, fingerprint_key, digits_token, status, expires,
              fingerprint, pan_sealed, holder_sealed, restrictions) ON cards TO kopeyka_vault;
REVOKE EXECUTE ON FUNCTION tokenize_cards, keep_new_cards, card_is_fixed, card_is_whole FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tokenize_cards, keep_new_cards TO kopeyka_vault;

-- Files of cards taken in ------------------------------------------------------------------------------

-- How far a file was taken in: lines up to the cursor are done, whatever happens next.
CREATE TABLE card_imports (
    id           text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    file_digest  bytea NOT NULL,
    scope        text COLLATE "C" NOT NULL,
    wants_digits boolean NOT NULL,
    status       text COLLATE "C" NOT NULL DEFAULT 'running',
    lines_done   bigint NOT NULL DEFAULT 0,
    cards_new    bigint NOT NULL DEFAULT 0,
    cards_known  bigint NOT NULL DEFAULT 0,
    refused      bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL,
    advanced_at  timestamptz NOT NULL,
    finished_at  timestamptz,
    CONSTRAINT card_imports_pkey PRIMARY KEY (id),
    CONSTRAINT card_imports_file_key UNIQUE (merchant_id, file_digest, scope, wants_digits),
    CONSTRAINT card_imports_id_form CHECK (id ~ '^imp_[0-9A-Za-z]{25}$'),
    CONSTRAINT card_imports_merchant_form CHECK (merchant_id ~ '^[a-z]{3}_[0-9A-Za-z]{1,40}$'),
    CONSTRAINT card_imports_scope_form CHECK (scope ~ '^[a-z0-9_]{0,32}$'),
    CONSTRAINT card_imports_digest_length CHECK (octet_length(file_digest) = 32),
    CONSTRAINT card_imports_status_is_known CHECK (status IN ('running', 'finished')),
    CONSTRAINT card_imports_counts_add_up CHECK (
        least(cards_new, cards_known, refused) >= 0 AND cards_new + cards_known + refused = lines_done
    ),
    CONSTRAINT card_imports_finished_at_when_finished CHECK ((status = 'finished') = (finished_at IS NOT NULL))
);

-- Lines that were not taken in, and why. Never a number: at most its mask.
CREATE TABLE card_import_refusals (
    import_id text COLLATE "C" NOT NULL,
    line      bigint NOT NULL,
    code      text COLLATE "C" NOT NULL,
    mask      text COLLATE "C",
    CONSTRAINT card_import_refusals_pkey PRIMARY KEY (import_id, line),
    CONSTRAINT card_import_refusals_import_id_fkey FOREIGN KEY (import_id) REFERENCES card_imports,
    CONSTRAINT card_import_refusals_line_positive CHECK (line > 0),
    CONSTRAINT card_import_refusals_code_form CHECK (code ~ '^[a-z]+\.[a-z0-9_]{1,60}$'),
    CONSTRAINT card_import_refusals_mask_is_a_mask CHECK (mask ~ '^[0-9]{6}\*{3,9}[0-9]{4}$')
);
GRANT SELECT, INSERT ON card_imports, card_import_refusals TO kopeyka_vault;
GRANT UPDATE (status, lines_done, cards_new, cards_known, refused, advanced_at, finished_at)
    ON card_imports TO kopeyka_vault;

-- Files of cards given out, closed to the key of whoever receives them: one person asks, another one agrees -----------

CREATE TABLE card_exports (
    id            text COLLATE "C" NOT NULL,
    merchant_id   text COLLATE "C" NOT NULL,
    recipient_key jsonb NOT NULL,
    reason        text NOT NULL,
    status        text COLLATE "C" NOT NULL DEFAULT 'requested',
    requested_by  text COLLATE "C" NOT NULL,
    approved_by   text COLLATE "C",
    place         bigint NOT NULL DEFAULT 0,
    batches_done  bigint NOT NULL DEFAULT 0,
    cards_done    bigint NOT NULL DEFAULT 0,
    skipped       bigint NOT NULL DEFAULT 0,
    requested_at  timestamptz NOT NULL,
    advanced_at   timestamptz NOT NULL,
    finished_at   timestamptz,
    CONSTRAINT card_exports_pkey PRIMARY KEY (id),
    CONSTRAINT card_exports_id_form CHECK (id ~ '^exp_[0-9A-Za-z]{25}$'),
    CONSTRAINT card_exports_merchant_form CHECK (merchant_id ~ '^[a-z]{3}_[0-9A-Za-z]{1,40}$'),
    CONSTRAINT card_exports_status_is_known CHECK (status IN ('requested', 'running', 'finished')),
    CONSTRAINT card_exports_key_is_public CHECK (NOT recipient_key ? 'd' AND recipient_key ->> 'kty' = 'EC'),
    CONSTRAINT card_exports_reason_length CHECK (length(reason) BETWEEN 3 AND 500),
    CONSTRAINT card_exports_two_people CHECK (
        (status = 'requested') = (approved_by IS NULL) AND approved_by <> requested_by
    ),
    CONSTRAINT card_exports_approved_by_a_person CHECK (approved_by LIKE 'person:per\_%'),
    CONSTRAINT card_exports_counts_not_negative CHECK (least(place, batches_done, cards_done, skipped) >= 0),
    CONSTRAINT card_exports_finished_at_when_finished CHECK ((status = 'finished') = (finished_at IS NOT NULL))
);
GRANT SELECT, INSERT ON card_exports TO kopeyka_vault;
GRANT UPDATE (status, approved_by, place, batches_done, cards_done, skipped, advanced_at, finished_at)
    ON card_exports TO kopeyka_vault;
