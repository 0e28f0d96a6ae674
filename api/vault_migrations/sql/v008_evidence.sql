-- What is kept how long, what was purged, and when a critical control was silent.

-- A policy of one merchant comes before the house's (merchant ''). Policies are ended, never changed.
CREATE TABLE retention_policies (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    merchant_id   text COLLATE "C" NOT NULL DEFAULT '',
    data_class    text COLLATE "C" NOT NULL,
    days          integer NOT NULL,
    legal_basis   text NOT NULL,
    justification text NOT NULL,
    set_by        text COLLATE "C" NOT NULL,
    set_at        timestamptz NOT NULL,
    ended_at      timestamptz,
    CONSTRAINT retention_policies_pkey PRIMARY KEY (id),
    CONSTRAINT retention_policies_merchant_form CHECK (merchant_id ~ '^([a-z]{3}_[0-9A-Za-z]{1,40})?$'),
    CONSTRAINT retention_policies_data_class_form CHECK (data_class ~ '^[a-z_]{3,32}$'),
    CONSTRAINT retention_policies_days_in_range CHECK (days BETWEEN 0 AND 3650),
    CONSTRAINT retention_policies_say_why
        CHECK (length(legal_basis) BETWEEN 3 AND 200 AND length(justification) BETWEEN 3 AND 500),
    CONSTRAINT retention_policies_end_after_they_begin CHECK (ended_at >= set_at)
);
CREATE UNIQUE INDEX retention_policies_one_in_force
    ON retention_policies (merchant_id, data_class) WHERE ended_at IS NULL;

INSERT INTO retention_policies (data_class, days, legal_basis, justification, set_by, set_at) VALUES
    ('expired_card', 180, 'PCI DSS 3.2.1',
     'Refunds and disputes come up to half a year after a card has expired; then nothing needs its number.',
     'system:migration', now()),
    ('card_session', 1, 'PCI DSS 3.2.1', 'A form that is over is of no use to anybody.', 'system:migration', now()),
    ('sad', 0, 'PCI DSS 3.3.1', 'Sensitive authentication data is gone with its outcome, or within the hour.',
     'system:migration', now());

-- One run of one policy: how much was past it, and that nothing was left. Added to only.
CREATE TABLE purges (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    policy_id   bigint NOT NULL,
    cutoff_at   timestamptz NOT NULL,
    ran_at      timestamptz NOT NULL,
    rows_purged bigint NOT NULL,
    rows_left   bigint NOT NULL,
    method      text NOT NULL,
    CONSTRAINT purges_pkey PRIMARY KEY (id),
    CONSTRAINT purges_policy_fkey FOREIGN KEY (policy_id) REFERENCES retention_policies (id),
    CONSTRAINT purges_cutoff_before_run CHECK (cutoff_at <= ran_at),
    CONSTRAINT purges_rows_not_negative CHECK (rows_purged >= 0 AND rows_left >= 0),
    CONSTRAINT purges_method_is_known CHECK (method IN ('deleted', 'emptied'))
);
CREATE INDEX purges_policy ON purges (policy_id, ran_at);

-- When a critical control was last seen alive, and within what time it must show itself again.
CREATE TABLE heartbeats (
    control        text COLLATE "C" NOT NULL,
    beat_at        timestamptz NOT NULL,
    period_seconds integer NOT NULL,
    CONSTRAINT heartbeats_pkey PRIMARY KEY (control),
    CONSTRAINT heartbeats_control_form CHECK (control ~ '^[a-z_]{3,32}$'),
    CONSTRAINT heartbeats_period_positive CHECK (period_seconds > 0)
);

-- Times in which a critical control did not work. Source: PCI DSS 10.7.2, 10.7.3: duration, cause, what was done.
CREATE TABLE outages (
    id       bigint GENERATED ALWAYS AS IDENTITY,
    control  text COLLATE "C" NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    cause    text NOT NULL,
    CONSTRAINT outages_pkey PRIMARY KEY (id),
    CONSTRAINT outages_control_fkey FOREIGN KEY (control) REFERENCES heartbeats (control),
    CONSTRAINT outages_last CHECK (ended_at > began_at),
    CONSTRAINT outages_cause_length CHECK (length(cause) BETWEEN 1 AND 500)
);

-- One run of the review of the log over one Moscow day, up to an instant. A day that was not over is reviewed again.
-- Source: PCI DSS 10.4.1, 10.4.1.1: daily, and by a machine.
CREATE TABLE log_reviews (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    day            date NOT NULL,
    reviewed_until timestamptz NOT NULL,
    ran_at         timestamptz NOT NULL,
    ran_by         text COLLATE "C" NOT NULL,
    events         bigint NOT NULL,
    suspicions     integer NOT NULL,
    cases_opened   integer NOT NULL,
    CONSTRAINT log_reviews_pkey PRIMARY KEY (id),
    CONSTRAINT log_reviews_within_the_day CHECK (
        reviewed_until > day::timestamp AT TIME ZONE 'Europe/Moscow'
        AND reviewed_until <= (day + 1)::timestamp AT TIME ZONE 'Europe/Moscow'
    ),
    CONSTRAINT log_reviews_of_what_was CHECK (reviewed_until <= ran_at),
    CONSTRAINT log_reviews_counts CHECK (
        events >= 0 AND suspicions >= 0 AND cases_opened BETWEEN 0 AND suspicions
    )
);
CREATE INDEX log_reviews_day ON log_reviews (day, reviewed_until);

-- What a person has to look into: a review found it, or a card number lay where none may be. Closed once, by a person
-- it is not about, with what they found. Source: PCI DSS 10.4.3, 12.10.7.
CREATE TABLE cases (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    rule      text COLLATE "C" NOT NULL,
    about     text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    facts     jsonb NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_by text COLLATE "C" NOT NULL,
    closed_at timestamptz,
    closed_by text COLLATE "C",
    note      text,
    CONSTRAINT cases_pkey PRIMARY KEY (id),
    CONSTRAINT cases_one_a_day UNIQUE (day, rule, about),
    CONSTRAINT cases_rule_form CHECK (rule ~ '^[a-z_]{3,40}$'),
    CONSTRAINT cases_about_length CHECK (length(about) BETWEEN 1 AND 500),
    CONSTRAINT cases_facts_are_named CHECK (jsonb_typeof(facts) = 'object' AND octet_length(facts::text) <= 8192),
    CONSTRAINT cases_closed_whole
        CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (note IS NULL)),
    CONSTRAINT cases_closed_by_a_person CHECK (closed_by ~ '^person:per_[0-9A-Za-z]+$'),
    CONSTRAINT cases_closed_by_another CHECK (closed_by <> about),
    CONSTRAINT cases_closed_after_they_open CHECK (closed_at >= opened_at),
    CONSTRAINT cases_note_length CHECK (length(note) BETWEEN 10 AND 1000)
);
CREATE INDEX cases_open ON cases (opened_at) WHERE closed_at IS NULL;

CREATE FUNCTION evidence_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is forbidden: what was written down stays', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER purges_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON purges
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_only_grows();
CREATE TRIGGER outages_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outages
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_only_grows();
CREATE TRIGGER log_reviews_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_reviews
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_only_grows();
CREATE TRIGGER cases_stay BEFORE DELETE OR TRUNCATE ON cases
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_only_grows();

-- A case ends once, and nothing else of it changes.
CREATE FUNCTION a_closed_case_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.closed_at IS NOT NULL OR (NEW.id, NEW.rule, NEW.about, NEW.day, NEW.facts, NEW.opened_at, NEW.opened_by)
        IS DISTINCT FROM (OLD.id, OLD.rule, OLD.about, OLD.day, OLD.facts, OLD.opened_at, OLD.opened_by) THEN
        RAISE EXCEPTION 'case % is as it was written down: only closing it is left, once', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cases_closed_once BEFORE UPDATE ON cases FOR EACH ROW EXECUTE FUNCTION a_closed_case_stays();

GRANT SELECT, INSERT ON retention_policies, purges, heartbeats, outages TO kopeyka_vault;
GRANT UPDATE (ended_at) ON retention_policies TO kopeyka_vault;
GRANT UPDATE (beat_at, period_seconds) ON heartbeats TO kopeyka_vault;
-- Who reads the events opens cases and cannot close them; the vault's people close them and read no event.
GRANT SELECT, INSERT ON log_reviews, cases, heartbeats TO kopeyka_vault_sequencer;
GRANT UPDATE (beat_at, period_seconds) ON heartbeats TO kopeyka_vault_sequencer;
GRANT INSERT ON outages TO kopeyka_vault_sequencer;
GRANT SELECT ON log_reviews TO kopeyka_vault;
GRANT SELECT, INSERT ON cases TO kopeyka_vault;
GRANT UPDATE (closed_at, closed_by, note) ON cases TO kopeyka_vault;
