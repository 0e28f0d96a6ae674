-- What is shown about plans and told to others: documents, the bureau's events, receipt intents, registers, the portfolio.
-- No personal data: a buyer is named by the buyer's id.

CREATE FUNCTION plan_facts_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was shown or told is never changed: % of %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;

-- One issue of a document in one language. Its content is what it says; its files are the bytes that were shown.
CREATE TABLE plan_documents (
    id           text COLLATE "C" NOT NULL,
    plan_id      text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    number       integer NOT NULL,
    language     text COLLATE "C" NOT NULL,
    text_version integer NOT NULL,
    issued_on    date NOT NULL,
    issued_at    timestamptz NOT NULL,
    content      jsonb NOT NULL,
    CONSTRAINT plan_documents_pkey PRIMARY KEY (id),
    CONSTRAINT plan_documents_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_documents_number_key UNIQUE (plan_id, kind, language, number),
    CONSTRAINT plan_documents_id_is_shown CHECK (id ~ '^doc_[0-9a-z]{26}$'),
    CONSTRAINT plan_documents_kind_is_known CHECK (kind IN ('pack', 'agreement', 'schedule', 'statement')),
    CONSTRAINT plan_documents_language_is_known CHECK (language IN ('ru', 'en')),
    CONSTRAINT plan_documents_number_positive CHECK (number > 0),
    CONSTRAINT plan_documents_text_version_positive CHECK (text_version > 0)
);
CREATE TRIGGER plan_documents_append_only BEFORE UPDATE OR DELETE ON plan_documents
    FOR EACH ROW EXECUTE FUNCTION plan_facts_are_final();

CREATE TABLE plan_document_files (
    document_id text COLLATE "C" NOT NULL,
    format      text COLLATE "C" NOT NULL,
    sha256      text COLLATE "C" NOT NULL,
    bytes       bytea NOT NULL,
    made_at     timestamptz NOT NULL,
    CONSTRAINT plan_document_files_pkey PRIMARY KEY (document_id, format),
    CONSTRAINT plan_document_files_document_fkey FOREIGN KEY (document_id) REFERENCES plan_documents (id),
    CONSTRAINT plan_document_files_format_is_known CHECK (format IN ('html', 'pdf', 'json')),
    CONSTRAINT plan_document_files_hash_is_of_bytes CHECK (sha256 = encode(sha256(bytes), 'hex')),
    CONSTRAINT plan_document_files_length CHECK (octet_length(bytes) BETWEEN 1 AND 4194304)
);
CREATE INDEX plan_document_files_by_hash ON plan_document_files (sha256);
CREATE TRIGGER plan_document_files_append_only BEFORE UPDATE OR DELETE ON plan_document_files
    FOR EACH ROW EXECUTE FUNCTION plan_facts_are_final();

-- What a credit bureau is told, numbered within each plan.
CREATE TABLE bureau_events (
    id          text COLLATE "C" NOT NULL,
    plan_id     text COLLATE "C" NOT NULL,
    sequence    integer NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    cause       text COLLATE "C" NOT NULL,
    happened_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    facts       jsonb NOT NULL,
    CONSTRAINT bureau_events_pkey PRIMARY KEY (id),
    CONSTRAINT bureau_events_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT bureau_events_sequence_key UNIQUE (plan_id, sequence),
    CONSTRAINT bureau_events_cause_key UNIQUE (plan_id, kind, cause),
    CONSTRAINT bureau_events_id_is_shown CHECK (id ~ '^bur_[0-9a-z]{26}$'),
    CONSTRAINT bureau_events_kind_is_known CHECK (
        kind IN ('opened', 'payment', 'overdue', 'changed', 'closed', 'assigned')
    ),
    CONSTRAINT bureau_events_begin_with_opened CHECK ((sequence = 1) = (kind = 'opened')),
    CONSTRAINT bureau_events_sequence_positive CHECK (sequence > 0),
    CONSTRAINT bureau_events_cause_length CHECK (length(cause) BETWEEN 1 AND 100)
);
CREATE INDEX bureau_events_recorded ON bureau_events (recorded_at);
CREATE TRIGGER bureau_events_append_only BEFORE UPDATE OR DELETE ON bureau_events
    FOR EACH ROW EXECUTE FUNCTION plan_facts_are_final();

-- How far the telling of each event has come. Events of one plan are told in their order.
CREATE TABLE bureau_deliveries (
    event_id        text COLLATE "C" NOT NULL,
    plan_id         text COLLATE "C" NOT NULL,
    sequence        integer NOT NULL,
    state           text COLLATE "C" NOT NULL DEFAULT 'queued',
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    acknowledgement text COLLATE "C",
    acknowledged_at timestamptz,
    refusal         text COLLATE "C",
    CONSTRAINT bureau_deliveries_pkey PRIMARY KEY (event_id),
    CONSTRAINT bureau_deliveries_event_fkey FOREIGN KEY (event_id) REFERENCES bureau_events (id),
    CONSTRAINT bureau_deliveries_sequence_key UNIQUE (plan_id, sequence),
    CONSTRAINT bureau_deliveries_state_is_known CHECK (state IN ('queued', 'acknowledged', 'refused')),
    CONSTRAINT bureau_deliveries_acknowledged_when_said CHECK (
        (state = 'acknowledged') = (acknowledgement IS NOT NULL)
        AND (state = 'acknowledged') = (acknowledged_at IS NOT NULL)
    ),
    CONSTRAINT bureau_deliveries_refused_for_a_reason CHECK ((state = 'refused') = (refusal IS NOT NULL)),
    CONSTRAINT bureau_deliveries_tried_while_queued CHECK ((state = 'queued') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT bureau_deliveries_attempts_not_negative CHECK (attempts >= 0),
    CONSTRAINT bureau_deliveries_acknowledgement_length CHECK (length(acknowledgement) BETWEEN 1 AND 100)
) WITH (fillfactor = 80);
CREATE INDEX bureau_deliveries_due ON bureau_deliveries (next_attempt_at) WHERE state = 'queued';
CREATE TRIGGER bureau_deliveries_final BEFORE UPDATE ON bureau_deliveries FOR EACH ROW
    WHEN (OLD.state = 'acknowledged') EXECUTE FUNCTION plan_facts_are_final();

-- Who fiscalises a merchant's sales by plans, from a day on.
CREATE TABLE receipt_profiles (
    merchant_id  text COLLATE "C" NOT NULL,
    effective_on date NOT NULL,
    profile      text COLLATE "C" NOT NULL,
    CONSTRAINT receipt_profiles_pkey PRIMARY KEY (merchant_id, effective_on),
    CONSTRAINT receipt_profiles_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT receipt_profiles_profile_is_known CHECK (
        profile IN ('merchant', 'operator_on_behalf', 'seller_credit')
    )
);

-- Who fiscalises one order, where its shop said so; the last word counts.
CREATE TABLE plan_receipt_profiles (
    plan_id text COLLATE "C" NOT NULL,
    said_at timestamptz NOT NULL,
    profile text COLLATE "C" NOT NULL,
    CONSTRAINT plan_receipt_profiles_pkey PRIMARY KEY (plan_id, said_at),
    CONSTRAINT plan_receipt_profiles_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_receipt_profiles_profile_is_known CHECK (profile IN ('merchant', 'operator_on_behalf'))
);

-- Receipts that somebody's till owes by 54-FZ. No till of ours: what it did is told to us.
CREATE TABLE receipt_intents (
    id               text COLLATE "C" NOT NULL,
    plan_id          text COLLATE "C" NOT NULL,
    merchant_id      text COLLATE "C" NOT NULL,
    profile          text COLLATE "C" NOT NULL,
    stage            text COLLATE "C" NOT NULL,
    cause            text COLLATE "C" NOT NULL,
    is_return        boolean NOT NULL,
    method_tag       integer NOT NULL,
    amount_kopecks   bigint NOT NULL,
    paid_kopecks     bigint NOT NULL,
    offset_kopecks   bigint NOT NULL,
    credit_kopecks   bigint NOT NULL,
    items            jsonb NOT NULL,
    state            text COLLATE "C" NOT NULL DEFAULT 'wanted',
    fiscal_drive     text COLLATE "C",
    fiscal_document  text COLLATE "C",
    fiscal_sign      text COLLATE "C",
    refusal          text,
    created_at       timestamptz NOT NULL,
    fetched_at       timestamptz,
    ended_at         timestamptz,
    CONSTRAINT receipt_intents_pkey PRIMARY KEY (id),
    CONSTRAINT receipt_intents_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT receipt_intents_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT receipt_intents_cause_key UNIQUE (plan_id, stage, cause),
    CONSTRAINT receipt_intents_id_is_shown CHECK (id ~ '^rcp_[0-9a-z]{26}$'),
    CONSTRAINT receipt_intents_profile_is_known CHECK (
        profile IN ('merchant', 'operator_on_behalf', 'seller_credit')
    ),
    CONSTRAINT receipt_intents_stage_is_known CHECK (stage IN ('prepayment', 'hand_over', 'installment', 'refund')),
    CONSTRAINT receipt_intents_method_is_known CHECK (method_tag BETWEEN 1 AND 7),
    CONSTRAINT receipt_intents_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT receipt_intents_sums_add_up CHECK (
        amount_kopecks = paid_kopecks + offset_kopecks + credit_kopecks
        AND paid_kopecks >= 0 AND offset_kopecks >= 0 AND credit_kopecks >= 0
    ),
    CONSTRAINT receipt_intents_returns_are_refunds CHECK (is_return = (stage = 'refund')),
    CONSTRAINT receipt_intents_credit_by_seller CHECK (
        (credit_kopecks = 0 AND method_tag NOT IN (5, 6, 7)) OR profile = 'seller_credit'
    ),
    CONSTRAINT receipt_intents_state_is_known CHECK (state IN ('wanted', 'fetched', 'issued', 'refused')),
    CONSTRAINT receipt_intents_fetched_when_said CHECK ((fetched_at IS NULL) = (state = 'wanted')),
    CONSTRAINT receipt_intents_issued_with_signs CHECK (
        (state = 'issued') = (fiscal_drive IS NOT NULL AND fiscal_document IS NOT NULL AND fiscal_sign IS NOT NULL)
    ),
    CONSTRAINT receipt_intents_signs_form CHECK (
        fiscal_drive ~ '^[0-9]{16}$' AND fiscal_document ~ '^[0-9]{1,10}$' AND fiscal_sign ~ '^[0-9]{1,10}$'
    ),
    CONSTRAINT receipt_intents_refused_for_a_reason CHECK ((state = 'refused') = (refusal IS NOT NULL)),
    CONSTRAINT receipt_intents_ended_when_over CHECK ((state IN ('issued', 'refused')) = (ended_at IS NOT NULL))
);
CREATE INDEX receipt_intents_open ON receipt_intents (merchant_id, id) WHERE state IN ('wanted', 'fetched');
CREATE TRIGGER receipt_intents_final BEFORE UPDATE ON receipt_intents FOR EACH ROW
    WHEN (OLD.state = 'issued') EXECUTE FUNCTION plan_facts_are_final();

-- The registers a merchant was given, as bytes: a day that was told is never told otherwise.
CREATE TABLE plan_registers (
    merchant_id     text COLLATE "C" NOT NULL,
    period          text COLLATE "C" NOT NULL,
    begins_on       date NOT NULL,
    lines           integer NOT NULL,
    opening_kopecks bigint NOT NULL,
    debits_kopecks  bigint NOT NULL,
    credits_kopecks bigint NOT NULL,
    closing_kopecks bigint NOT NULL,
    sha256          text COLLATE "C" NOT NULL,
    bytes           bytea NOT NULL,
    marks           jsonb NOT NULL,
    made_at         timestamptz NOT NULL,
    CONSTRAINT plan_registers_pkey PRIMARY KEY (merchant_id, period, begins_on),
    CONSTRAINT plan_registers_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT plan_registers_period_is_known CHECK (period IN ('day', 'month')),
    CONSTRAINT plan_registers_month_begins_on_its_first CHECK (
        period <> 'month' OR extract(day FROM begins_on) = 1
    ),
    CONSTRAINT plan_registers_totals_not_negative CHECK (
        lines >= 0 AND debits_kopecks >= 0 AND credits_kopecks >= 0
    ),
    CONSTRAINT plan_registers_balance_moves CHECK (
        closing_kopecks = opening_kopecks + credits_kopecks - debits_kopecks
    ),
    CONSTRAINT plan_registers_hash_is_of_bytes CHECK (sha256 = encode(sha256(bytes), 'hex'))
);
CREATE TRIGGER plan_registers_append_only BEFORE UPDATE OR DELETE ON plan_registers
    FOR EACH ROW EXECUTE FUNCTION plan_facts_are_final();

-- The portfolio as it stood at the end of a Moscow day.
CREATE TABLE portfolio_days (
    day_on              date NOT NULL,
    bucket              text COLLATE "C" NOT NULL,
    plans               bigint NOT NULL,
    price_kopecks       bigint NOT NULL,
    outstanding_kopecks bigint NOT NULL,
    penalty_kopecks     bigint NOT NULL,
    term_days           bigint NOT NULL,
    made_at             timestamptz NOT NULL,
    CONSTRAINT portfolio_days_pkey PRIMARY KEY (day_on, bucket),
    CONSTRAINT portfolio_days_bucket_is_known CHECK (bucket IN (
        'not_due', 'due', 'dpd_1_3', 'dpd_4_14', 'dpd_15_30', 'dpd_31_60', 'dpd_61_90', 'dpd_90_plus'
    )),
    CONSTRAINT portfolio_days_not_negative CHECK (
        plans >= 0 AND price_kopecks >= 0 AND outstanding_kopecks >= 0 AND penalty_kopecks >= 0 AND term_days >= 0
    )
);
CREATE TRIGGER portfolio_days_append_only BEFORE UPDATE OR DELETE ON portfolio_days
    FOR EACH ROW EXECUTE FUNCTION plan_facts_are_final();

-- Each open plan's place on chosen days (ends of months, or of weeks): roll rates and vintages are read from it.
CREATE TABLE portfolio_snapshots (
    day_on              date NOT NULL,
    plan_id             text COLLATE "C" NOT NULL,
    bucket              text COLLATE "C" NOT NULL,
    outstanding_kopecks bigint NOT NULL,
    CONSTRAINT portfolio_snapshots_pkey PRIMARY KEY (day_on, plan_id),
    CONSTRAINT portfolio_snapshots_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT portfolio_snapshots_bucket_is_known CHECK (bucket IN (
        'not_due', 'due', 'dpd_1_3', 'dpd_4_14', 'dpd_15_30', 'dpd_31_60', 'dpd_61_90', 'dpd_90_plus'
    )),
    CONSTRAINT portfolio_snapshots_outstanding_positive CHECK (outstanding_kopecks > 0)
);
CREATE TRIGGER portfolio_snapshots_append_only BEFORE UPDATE OR DELETE ON portfolio_snapshots
    FOR EACH ROW EXECUTE FUNCTION plan_facts_are_final();

GRANT SELECT, INSERT ON plan_documents, plan_document_files, bureau_events, receipt_profiles,
    plan_receipt_profiles, plan_registers,
    portfolio_days, portfolio_snapshots TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON bureau_deliveries, receipt_intents TO kopeyka_app;
