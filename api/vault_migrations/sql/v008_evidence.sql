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

CREATE FUNCTION evidence_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is forbidden: what was written down stays', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER purges_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON purges
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_only_grows();
CREATE TRIGGER outages_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outages
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_only_grows();

GRANT SELECT, INSERT ON retention_policies, purges, heartbeats, outages TO kopeyka_vault;
GRANT UPDATE (ended_at) ON retention_policies TO kopeyka_vault;
GRANT UPDATE (beat_at, period_seconds) ON heartbeats TO kopeyka_vault;
