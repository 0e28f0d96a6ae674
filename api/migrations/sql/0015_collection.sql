-- Charges of installments, dunning, disputes and reliefs.

-- One row is one try to take what a plan owes. A refused one may name when the next try is due.
CREATE TABLE plan_charges (
    id               text COLLATE "C" NOT NULL,
    plan_id          text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    due_on           date NOT NULL,
    tries            integer NOT NULL,
    amount_kopecks   bigint NOT NULL,
    collector        text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL DEFAULT 'requested',
    payment_id       text COLLATE "C",
    captured_kopecks bigint NOT NULL DEFAULT 0,
    reason           text COLLATE "C",
    looks            integer NOT NULL DEFAULT 0,
    next_try_at      timestamptz,
    created_at       timestamptz NOT NULL,
    ended_at         timestamptz,
    CONSTRAINT plan_charges_pkey PRIMARY KEY (id),
    CONSTRAINT plan_charges_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_charges_payment_key UNIQUE (payment_id),
    CONSTRAINT plan_charges_id_is_shown CHECK (id ~ '^chg_[0-9a-z]{26}$'),
    CONSTRAINT plan_charges_kind_is_known CHECK (kind IN ('installment_payment', 'early_payment')),
    CONSTRAINT plan_charges_tries_in_range CHECK (tries BETWEEN 1 AND 20),
    CONSTRAINT plan_charges_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT plan_charges_collector_is_known CHECK (collector IN ('card', 'sbp')),
    CONSTRAINT plan_charges_status_is_known CHECK (status IN ('requested', 'unknown', 'captured', 'refused')),
    CONSTRAINT plan_charges_named_once_asked CHECK (
        payment_id IS NOT NULL OR status IN ('requested', 'refused')
    ),
    CONSTRAINT plan_charges_captured_when_so CHECK ((status = 'captured') = (captured_kopecks > 0)),
    CONSTRAINT plan_charges_ended_when_over CHECK ((status IN ('captured', 'refused')) = (ended_at IS NOT NULL)),
    CONSTRAINT plan_charges_watched_while_live CHECK (
        CASE status WHEN 'captured' THEN next_try_at IS NULL
                    WHEN 'refused' THEN next_try_at IS NULL OR kind = 'installment_payment'
                    ELSE next_try_at IS NOT NULL END
    ),
    CONSTRAINT plan_charges_looks_not_negative CHECK (looks >= 0)
) WITH (fillfactor = 80);
-- While one charge may still take money, no other may be asked for.
CREATE UNIQUE INDEX plan_charges_live_key ON plan_charges (plan_id) WHERE status IN ('requested', 'unknown');
-- Each due day of a plan has one first try, one second and so on, whoever works through the night.
CREATE UNIQUE INDEX plan_charges_round_key ON plan_charges (plan_id, due_on, tries) WHERE kind = 'installment_payment';
CREATE INDEX plan_charges_next_try ON plan_charges (next_try_at) WHERE next_try_at IS NOT NULL;

CREATE FUNCTION plan_charges_end_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'charge % has ended as %', OLD.id, OLD.status
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'plan_charges_final';
END $$;
CREATE TRIGGER plan_charges_final BEFORE UPDATE ON plan_charges FOR EACH ROW
    WHEN (OLD.status IN ('captured', 'refused') AND (NEW.status, NEW.captured_kopecks, NEW.payment_id, NEW.plan_id)
          IS DISTINCT FROM (OLD.status, OLD.captured_kopecks, OLD.payment_id, OLD.plan_id))
    EXECUTE FUNCTION plan_charges_end_once();

-- That arrears have reached a stage is said once for each day since which a plan is overdue.
CREATE TABLE plan_dunning_stages (
    plan_id       text COLLATE "C" NOT NULL,
    overdue_since date NOT NULL,
    stage         integer NOT NULL,
    reached_on    date NOT NULL,
    CONSTRAINT plan_dunning_stages_pkey PRIMARY KEY (plan_id, overdue_since, stage),
    CONSTRAINT plan_dunning_stages_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_dunning_stages_stage_in_range CHECK (stage BETWEEN 1 AND 365),
    CONSTRAINT plan_dunning_stages_reached_in_time CHECK (reached_on >= overdue_since + stage)
);

CREATE TABLE plan_disputes (
    id               text COLLATE "C" NOT NULL,
    plan_id          text COLLATE "C" NOT NULL,
    reason           text NOT NULL,
    reserved_kopecks bigint NOT NULL DEFAULT 0,
    opened_by        text COLLATE "C" NOT NULL,
    opened_at        timestamptz NOT NULL,
    ruling           text COLLATE "C",
    closed_by        text COLLATE "C",
    closed_at        timestamptz,
    CONSTRAINT plan_disputes_pkey PRIMARY KEY (id),
    CONSTRAINT plan_disputes_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_disputes_id_is_shown CHECK (id ~ '^dsp_[0-9a-z]{26}$'),
    CONSTRAINT plan_disputes_reason_length CHECK (length(reason) BETWEEN 1 AND 300),
    CONSTRAINT plan_disputes_reserved_not_negative CHECK (reserved_kopecks >= 0),
    CONSTRAINT plan_disputes_ruling_is_known CHECK (ruling IN ('buyer', 'merchant')),
    CONSTRAINT plan_disputes_closed_whole CHECK (
        (ruling IS NULL) = (closed_at IS NULL) AND (closed_by IS NULL) = (closed_at IS NULL)
    )
);
CREATE UNIQUE INDEX plan_disputes_open_key ON plan_disputes (plan_id) WHERE closed_at IS NULL;

-- What was granted to a buyer in difficulty, by whom and why; what it did to the debt is the movement.
CREATE TABLE plan_reliefs (
    id          text COLLATE "C" NOT NULL,
    plan_id     text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    movement_id text COLLATE "C" NOT NULL,
    reason      text NOT NULL,
    granted_by  text COLLATE "C" NOT NULL,
    granted_at  timestamptz NOT NULL,
    CONSTRAINT plan_reliefs_pkey PRIMARY KEY (id),
    CONSTRAINT plan_reliefs_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_reliefs_movement_fkey FOREIGN KEY (movement_id) REFERENCES plan_movements (id),
    CONSTRAINT plan_reliefs_movement_key UNIQUE (movement_id),
    CONSTRAINT plan_reliefs_id_is_shown CHECK (id ~ '^rlf_[0-9a-z]{26}$'),
    CONSTRAINT plan_reliefs_kind_is_known CHECK (
        kind IN ('snooze', 're_age', 're_amortise', 'waiver', 'goodwill', 'write_off')),
    CONSTRAINT plan_reliefs_reason_length CHECK (length(reason) BETWEEN 1 AND 300)
);
-- An installment is put off once in a plan's life.
CREATE UNIQUE INDEX plan_reliefs_snoozed_once ON plan_reliefs (plan_id) WHERE kind = 'snooze';

GRANT SELECT, INSERT, UPDATE ON plan_charges, plan_disputes TO kopeyka_app;
GRANT SELECT, INSERT ON plan_dunning_stages, plan_reliefs TO kopeyka_app;
