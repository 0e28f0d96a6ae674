-- Buyers as the plan engine knows them. Personal data is here and in no other table, entry, event or log; the one
-- exception is the address a consent was given from, in buyer_consents, which is erased together with the buyer.

CREATE TABLE buyers (
    id                text COLLATE "C" NOT NULL,
    phone             text COLLATE "C",
    first_name        text,
    last_name         text,
    middle_name       text,
    email             text COLLATE "C",
    born_on           date,
    phone_digest      bytea,
    document_digest   bytea,
    phone_verified_at timestamptz,
    identification    text COLLATE "C" NOT NULL DEFAULT 'none',
    identified_by     text COLLATE "C",
    identified_at     timestamptz,
    limit_kopecks     bigint NOT NULL DEFAULT 10000000,
    frozen_at         timestamptz,
    frozen_reason     text,
    arrears_seen_on   date,
    erased_at         timestamptz,
    created_at        timestamptz NOT NULL,
    version           integer NOT NULL DEFAULT 1,
    CONSTRAINT buyers_pkey PRIMARY KEY (id),
    CONSTRAINT buyers_phone_key UNIQUE (phone),
    CONSTRAINT buyers_id_is_shown CHECK (id ~ '^byr_[0-9a-z]{26}$'),
    CONSTRAINT buyers_phone_form CHECK (phone ~ '^[+][1-9][0-9]{9,14}$'),
    CONSTRAINT buyers_phone_until_erased CHECK ((phone IS NULL) = (erased_at IS NOT NULL)),
    CONSTRAINT buyers_erased_wholly CHECK (
        erased_at IS NULL
        OR num_nonnulls(first_name, last_name, middle_name, email, born_on, phone_digest, document_digest,
                        phone_verified_at) = 0
    ),
    CONSTRAINT buyers_names_length CHECK (
        length(first_name) BETWEEN 1 AND 100 AND length(last_name) BETWEEN 1 AND 100
        AND length(middle_name) BETWEEN 1 AND 100
    ),
    CONSTRAINT buyers_email_form CHECK (email ~ '^[^@ ]+@[^@ ]+$' AND length(email) <= 254),
    CONSTRAINT buyers_born_in_time CHECK (born_on >= '1900-01-01'),
    CONSTRAINT buyers_digest_length CHECK (octet_length(phone_digest) = 32 AND octet_length(document_digest) = 32),
    CONSTRAINT buyers_identification_is_known CHECK (identification IN ('none', 'simplified', 'full')),
    CONSTRAINT buyers_identified_by_whom CHECK (
        (identification <> 'none') = (identified_at IS NOT NULL)
        AND (identification <> 'none') = (identified_by IS NOT NULL)
    ),
    CONSTRAINT buyers_limit_in_range CHECK (limit_kopecks BETWEEN 0 AND 100000000),
    CONSTRAINT buyers_frozen_with_reason CHECK ((frozen_at IS NULL) = (frozen_reason IS NULL)),
    CONSTRAINT buyers_version_positive CHECK (version > 0)
);

CREATE TABLE buyer_limits (
    buyer_id       text COLLATE "C" NOT NULL,
    number         integer NOT NULL,
    before_kopecks bigint NOT NULL,
    limit_kopecks  bigint NOT NULL,
    reason         text NOT NULL,
    set_by         text COLLATE "C" NOT NULL,
    set_at         timestamptz NOT NULL,
    CONSTRAINT buyer_limits_pkey PRIMARY KEY (buyer_id, number),
    CONSTRAINT buyer_limits_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES buyers (id),
    CONSTRAINT buyer_limits_number_positive CHECK (number > 0),
    CONSTRAINT buyer_limits_limit_in_range CHECK (limit_kopecks BETWEEN 0 AND 100000000 AND before_kopecks >= 0),
    CONSTRAINT buyer_limits_limit_changed CHECK (limit_kopecks <> before_kopecks),
    CONSTRAINT buyer_limits_reason_given CHECK (length(reason) BETWEEN 1 AND 200),
    CONSTRAINT buyer_limits_set_by_someone CHECK (length(set_by) BETWEEN 1 AND 100)
);

-- A stop list holds keyed digests only: who is on it need not be a buyer of ours, and cannot be read from it.
CREATE TABLE stop_list_lines (
    id         text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    digest     bytea NOT NULL,
    reason     text NOT NULL,
    source     text COLLATE "C" NOT NULL,
    added_by   text COLLATE "C" NOT NULL,
    added_at   timestamptz NOT NULL,
    removed_by text COLLATE "C",
    removed_at timestamptz,
    CONSTRAINT stop_list_lines_pkey PRIMARY KEY (id),
    CONSTRAINT stop_list_lines_id_is_shown CHECK (id ~ '^stp_[0-9a-z]{26}$'),
    CONSTRAINT stop_list_lines_kind_is_known CHECK (kind IN ('phone', 'document')),
    CONSTRAINT stop_list_lines_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT stop_list_lines_reason_given CHECK (length(reason) BETWEEN 1 AND 200),
    CONSTRAINT stop_list_lines_source_given CHECK (length(source) BETWEEN 1 AND 100),
    CONSTRAINT stop_list_lines_added_by_someone CHECK (length(added_by) BETWEEN 1 AND 100),
    CONSTRAINT stop_list_lines_removed_by_someone CHECK (
        (removed_at IS NULL) = (removed_by IS NULL) AND (removed_at IS NULL OR removed_at >= added_at)
    )
);
CREATE UNIQUE INDEX stop_list_lines_in_force ON stop_list_lines (kind, digest) WHERE removed_at IS NULL;

-- One-time codes: only a keyed digest, which a million guesses do not open without the key.
CREATE TABLE buyer_codes (
    id         text COLLATE "C" NOT NULL,
    buyer_id   text COLLATE "C" NOT NULL,
    purpose    text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    digest     bytea NOT NULL,
    status     text COLLATE "C" NOT NULL DEFAULT 'open',
    sending    text COLLATE "C" NOT NULL DEFAULT 'asked',
    tries_left integer NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    CONSTRAINT buyer_codes_pkey PRIMARY KEY (id),
    CONSTRAINT buyer_codes_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES buyers (id),
    CONSTRAINT buyer_codes_id_is_shown CHECK (id ~ '^otc_[0-9a-z]{26}$'),
    CONSTRAINT buyer_codes_purpose_is_known CHECK (purpose IN ('phone', 'consent', 'sign_in')),
    CONSTRAINT buyer_codes_subject_length CHECK (length(subject) <= 64),
    CONSTRAINT buyer_codes_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT buyer_codes_status_is_known CHECK (status IN ('open', 'used', 'over')),
    CONSTRAINT buyer_codes_sending_is_known CHECK (sending IN ('asked', 'sent', 'refused', 'unknown')),
    CONSTRAINT buyer_codes_tries_in_range CHECK (tries_left BETWEEN 0 AND 10),
    CONSTRAINT buyer_codes_no_tries_no_code CHECK (tries_left > 0 OR status = 'over'),
    CONSTRAINT buyer_codes_expire_later CHECK (expires_at > created_at),
    CONSTRAINT buyer_codes_ended_when_over CHECK ((status = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX buyer_codes_one_open ON buyer_codes (buyer_id, purpose, subject) WHERE status = 'open';
CREATE INDEX buyer_codes_of_buyer ON buyer_codes (buyer_id, created_at);
CREATE INDEX buyer_codes_of_subject ON buyer_codes (subject, created_at) WHERE subject <> '';

-- plan_id refers to installment_plans, which the next migration makes together with the keys.
CREATE TABLE buyer_consents (
    id           text COLLATE "C" NOT NULL,
    buyer_id     text COLLATE "C" NOT NULL,
    plan_id      text COLLATE "C" NOT NULL,
    pack_digest  bytea NOT NULL,
    text_version text COLLATE "C" NOT NULL,
    code_id      text COLLATE "C" NOT NULL,
    given_at     timestamptz NOT NULL,
    origin       text COLLATE "C",
    CONSTRAINT buyer_consents_pkey PRIMARY KEY (id),
    CONSTRAINT buyer_consents_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES buyers (id),
    CONSTRAINT buyer_consents_code_fkey FOREIGN KEY (code_id) REFERENCES buyer_codes (id),
    CONSTRAINT buyer_consents_plan_key UNIQUE (plan_id),
    CONSTRAINT buyer_consents_code_key UNIQUE (code_id),
    CONSTRAINT buyer_consents_id_is_shown CHECK (id ~ '^csn_[0-9a-z]{26}$'),
    CONSTRAINT buyer_consents_digest_length CHECK (octet_length(pack_digest) = 32),
    CONSTRAINT buyer_consents_version_given CHECK (length(text_version) BETWEEN 1 AND 64),
    CONSTRAINT buyer_consents_origin_length CHECK (length(origin) BETWEEN 1 AND 64)
);
CREATE INDEX buyer_consents_of_buyer ON buyer_consents (buyer_id);

-- What decides about plans, as dated versions that are never rewritten.
CREATE TABLE decision_policies (
    name                             text COLLATE "C" NOT NULL,
    version                          integer NOT NULL,
    effective_on                     date NOT NULL,
    scoring                          text COLLATE "C" NOT NULL,
    age_min                          integer NOT NULL,
    freeze_days_overdue              integer NOT NULL,
    freeze_days_after                integer NOT NULL,
    plans_max                        integer NOT NULL,
    first_plan_max_kopecks           bigint NOT NULL,
    share_after_arrears_basis_points integer NOT NULL,
    created_at                       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT decision_policies_pkey PRIMARY KEY (version),
    CONSTRAINT decision_policies_effective_key UNIQUE (effective_on),
    CONSTRAINT decision_policies_name_given CHECK (length(name) BETWEEN 1 AND 64 AND version > 0),
    CONSTRAINT decision_policies_scoring_form CHECK (scoring ~ '^[a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT decision_policies_age_of_majority CHECK (age_min BETWEEN 18 AND 120),
    CONSTRAINT decision_policies_freeze_in_range CHECK (
        freeze_days_overdue BETWEEN 1 AND 365 AND freeze_days_after BETWEEN 0 AND 3650
    ),
    CONSTRAINT decision_policies_caps_in_range CHECK (
        plans_max BETWEEN 1 AND 100 AND first_plan_max_kopecks BETWEEN 1 AND 100000000
        AND share_after_arrears_basis_points BETWEEN 0 AND 10000
    )
);
INSERT INTO decision_policies (name, version, effective_on, scoring, age_min, freeze_days_overdue, freeze_days_after,
    plans_max, first_plan_max_kopecks, share_after_arrears_basis_points)
VALUES ('house', 1, '1990-01-01', 'history', 18, 3, 14, 10, 5000000, 5000);

-- Whether a credit bureau takes our reports; the worker, which sends them, writes it down.
CREATE TABLE plan_bureau (
    is_only  boolean NOT NULL DEFAULT true,
    is_ready boolean NOT NULL,
    is_told_of_all boolean NOT NULL DEFAULT false,
    noted_at timestamptz,
    CONSTRAINT plan_bureau_pkey PRIMARY KEY (is_only),
    CONSTRAINT plan_bureau_is_one CHECK (is_only)
);
INSERT INTO plan_bureau (is_ready) VALUES (false);

CREATE TABLE plan_decisions (
    id             text COLLATE "C" NOT NULL,
    plan_id        text COLLATE "C" NOT NULL,
    buyer_id       text COLLATE "C" NOT NULL,
    policy         text COLLATE "C" NOT NULL,
    policy_version integer NOT NULL,
    outcome        text COLLATE "C" NOT NULL,
    reason         text COLLATE "C",
    score          integer,
    facts          jsonb NOT NULL,
    verdicts       jsonb NOT NULL,
    needs_bureau   boolean NOT NULL,
    price_kopecks  bigint NOT NULL,
    used_kopecks   bigint NOT NULL,
    limit_kopecks  bigint NOT NULL,
    made_at        timestamptz NOT NULL,
    CONSTRAINT plan_decisions_pkey PRIMARY KEY (id),
    CONSTRAINT plan_decisions_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES buyers (id),
    CONSTRAINT plan_decisions_plan_key UNIQUE (plan_id),
    CONSTRAINT plan_decisions_id_is_shown CHECK (id ~ '^dec_[0-9a-z]{26}$'),
    CONSTRAINT plan_decisions_policy_given CHECK (length(policy) BETWEEN 1 AND 64 AND policy_version > 0),
    CONSTRAINT plan_decisions_outcome_is_known CHECK (outcome IN ('approved', 'rejected')),
    CONSTRAINT plan_decisions_rejected_with_reason CHECK ((outcome = 'rejected') = (reason IS NOT NULL)),
    CONSTRAINT plan_decisions_score_in_range CHECK (score BETWEEN 0 AND 1000),
    CONSTRAINT plan_decisions_explained CHECK (
        jsonb_typeof(facts) = 'object' AND jsonb_typeof(verdicts) = 'array' AND jsonb_array_length(verdicts) > 0
    ),
    CONSTRAINT plan_decisions_sums_in_range CHECK (price_kopecks > 0 AND used_kopecks >= 0 AND limit_kopecks >= 0),
    CONSTRAINT plan_decisions_within_limit CHECK (
        outcome = 'rejected' OR price_kopecks + used_kopecks <= limit_kopecks
    )
);
CREATE INDEX plan_decisions_of_buyer ON plan_decisions (buyer_id, made_at);

-- Triggers refuse, never compute: what was said of a buyer stays said.
CREATE FUNCTION buyer_facts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this is never changed'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER buyer_limits_append_only BEFORE UPDATE OR DELETE ON buyer_limits
    FOR EACH ROW EXECUTE FUNCTION buyer_facts_stay();
CREATE TRIGGER decision_policies_append_only BEFORE UPDATE OR DELETE ON decision_policies
    FOR EACH ROW EXECUTE FUNCTION buyer_facts_stay();
CREATE TRIGGER plan_decisions_append_only BEFORE UPDATE OR DELETE ON plan_decisions
    FOR EACH ROW EXECUTE FUNCTION buyer_facts_stay();
CREATE TRIGGER buyer_consents_only_forget BEFORE UPDATE ON buyer_consents FOR EACH ROW
    WHEN (NEW.origin IS NOT NULL OR (OLD.id, OLD.buyer_id, OLD.plan_id, OLD.pack_digest, OLD.text_version, OLD.code_id,
          OLD.given_at) IS DISTINCT FROM (NEW.id, NEW.buyer_id, NEW.plan_id, NEW.pack_digest, NEW.text_version,
          NEW.code_id, NEW.given_at))
    EXECUTE FUNCTION buyer_facts_stay();
CREATE TRIGGER buyer_consents_append_only BEFORE DELETE ON buyer_consents
    FOR EACH ROW EXECUTE FUNCTION buyer_facts_stay();
CREATE TRIGGER buyer_codes_only_end BEFORE UPDATE ON buyer_codes FOR EACH ROW
    WHEN (OLD.status <> 'open' AND OLD.status <> NEW.status OR NEW.tries_left > OLD.tries_left
          OR (OLD.id, OLD.buyer_id, OLD.purpose, OLD.subject, OLD.digest, OLD.created_at, OLD.expires_at)
             IS DISTINCT FROM
             (NEW.id, NEW.buyer_id, NEW.purpose, NEW.subject, NEW.digest, NEW.created_at, NEW.expires_at))
    EXECUTE FUNCTION buyer_facts_stay();

GRANT SELECT, INSERT, UPDATE ON buyers TO kopeyka_app;
GRANT SELECT, INSERT ON buyer_limits, plan_decisions, decision_policies, stop_list_lines, buyer_codes, buyer_consents
    TO kopeyka_app;
GRANT SELECT ON plan_bureau TO kopeyka_app;
GRANT UPDATE (is_ready, is_told_of_all, noted_at) ON plan_bureau TO kopeyka_app;
GRANT UPDATE (removed_by, removed_at) ON stop_list_lines TO kopeyka_app;
GRANT UPDATE (status, sending, tries_left, ended_at) ON buyer_codes TO kopeyka_app;
GRANT UPDATE (origin) ON buyer_consents TO kopeyka_app;
