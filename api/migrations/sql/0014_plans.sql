-- Installment plans: products, terms, plans, installments and the movements that everything is replayed from.

CREATE TABLE installment_products (
    code                     text COLLATE "C" NOT NULL,
    version                  integer NOT NULL,
    name                     text NOT NULL,
    effective_on             date NOT NULL,
    installments             integer NOT NULL,
    step                     text COLLATE "C" NOT NULL,
    every                    integer NOT NULL,
    first_share_basis_points integer NOT NULL,
    rounding                 text COLLATE "C" NOT NULL,
    price_min_kopecks        bigint NOT NULL,
    price_max_kopecks        bigint NOT NULL,
    order_lifetime_seconds   integer NOT NULL,
    hold_lifetime_seconds    integer NOT NULL,
    refund_policy            text COLLATE "C" NOT NULL,
    penalty_basis_points     integer NOT NULL,
    penalty_grace_days       integer NOT NULL,
    is_committed_at_once     boolean NOT NULL,
    is_fee_returned          boolean NOT NULL,
    created_at               timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT installment_products_pkey PRIMARY KEY (code, version),
    CONSTRAINT installment_products_effective_key UNIQUE (code, effective_on),
    CONSTRAINT installment_products_code_form CHECK (code ~ '^[a-z][a-z0-9_]{1,31}$'),
    CONSTRAINT installment_products_version_positive CHECK (version > 0),
    CONSTRAINT installment_products_installments_in_range CHECK (installments BETWEEN 2 AND 24),
    CONSTRAINT installment_products_step_is_known CHECK (step IN ('days', 'months')),
    CONSTRAINT installment_products_every_in_range CHECK (every BETWEEN 1 AND 92),
    CONSTRAINT installment_products_first_share_in_range CHECK (first_share_basis_points BETWEEN 0 AND 9999),
    CONSTRAINT installment_products_rounding_is_known CHECK (rounding IN ('kopeck_first', 'kopeck_last', 'rouble_last')),
    CONSTRAINT installment_products_prices_in_order CHECK (0 < price_min_kopecks AND price_min_kopecks <= price_max_kopecks),
    CONSTRAINT installment_products_lifetimes_positive CHECK (order_lifetime_seconds > 0 AND hold_lifetime_seconds > 0),
    CONSTRAINT installment_products_policy_is_known CHECK (
        refund_policy IN ('proportional', 'next_first', 'last_first', 'reamortise')
    ),
    CONSTRAINT installment_products_penalty_in_range CHECK (
        penalty_basis_points BETWEEN 0 AND 2000 AND penalty_grace_days BETWEEN 0 AND 365
    )
);

CREATE TABLE installment_merchant_terms (
    merchant_id       text COLLATE "C" NOT NULL,
    product_code      text COLLATE "C" NOT NULL,
    effective_on      date NOT NULL,
    fee_basis_points  integer NOT NULL,
    price_min_kopecks bigint,
    price_max_kopecks bigint,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT installment_merchant_terms_pkey PRIMARY KEY (merchant_id, product_code, effective_on),
    CONSTRAINT installment_merchant_terms_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT installment_merchant_terms_fee_in_range CHECK (fee_basis_points BETWEEN 0 AND 9999),
    CONSTRAINT installment_merchant_terms_prices_in_order CHECK (
        0 < price_min_kopecks AND (price_max_kopecks IS NULL OR price_min_kopecks <= price_max_kopecks)
    )
);

-- Our own entry in the Bank of Russia's register of operators: no plan is made while the last one is not active.
CREATE TABLE operator_licences (
    effective_on    date NOT NULL,
    register_number text COLLATE "C" NOT NULL,
    is_active       boolean NOT NULL,
    capital_kopecks bigint NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operator_licences_pkey PRIMARY KEY (effective_on),
    CONSTRAINT operator_licences_number_given CHECK (length(register_number) BETWEEN 1 AND 64),
    CONSTRAINT operator_licences_capital_not_negative CHECK (capital_kopecks >= 0)
);

-- The merchant of our own house: what it is owed for charges and not yet told to a plan is the clearing of plans.
CREATE TABLE plan_operator (
    is_only     boolean NOT NULL DEFAULT true,
    merchant_id text COLLATE "C" NOT NULL,
    CONSTRAINT plan_operator_pkey PRIMARY KEY (is_only),
    CONSTRAINT plan_operator_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT plan_operator_is_one CHECK (is_only)
);

CREATE TABLE installment_plans (
    id                  text COLLATE "C" NOT NULL,
    merchant_id         text COLLATE "C" NOT NULL,
    order_number        text COLLATE "C" NOT NULL,
    product_code        text COLLATE "C" NOT NULL,
    product_version     integer NOT NULL,
    price_kopecks       bigint NOT NULL,
    prepaid_kopecks     bigint NOT NULL DEFAULT 0,
    items               jsonb NOT NULL DEFAULT '[]',
    status              text COLLATE "C" NOT NULL DEFAULT 'new',
    standing            text COLLATE "C" NOT NULL DEFAULT 'none',
    link_code           text COLLATE "C" NOT NULL,
    buyer_id            text COLLATE "C",
    contract_on         date,
    collector           text COLLATE "C",
    card_token          text COLLATE "C",
    first_payment_id    text COLLATE "C",
    binding_id          text COLLATE "C",
    fee_basis_points    integer,
    fee_kopecks         bigint NOT NULL DEFAULT 0,
    refunded_kopecks    bigint NOT NULL DEFAULT 0,
    outstanding_kopecks bigint NOT NULL DEFAULT 0,
    overpaid_kopecks    bigint NOT NULL DEFAULT 0,
    penalty_kopecks     bigint NOT NULL DEFAULT 0,
    next_due_on         date,
    is_paused           boolean NOT NULL DEFAULT false,
    reason              text,
    created_at          timestamptz NOT NULL,
    expires_at          timestamptz,
    committed_at        timestamptz,
    ended_at            timestamptz,
    version             integer NOT NULL DEFAULT 1,
    CONSTRAINT installment_plans_pkey PRIMARY KEY (id),
    CONSTRAINT installment_plans_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT installment_plans_product_fkey FOREIGN KEY (product_code, product_version)
        REFERENCES installment_products (code, version),
    CONSTRAINT installment_plans_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES buyers (id),
    CONSTRAINT installment_plans_payment_fkey FOREIGN KEY (first_payment_id) REFERENCES card_payments (id),
    CONSTRAINT installment_plans_order_key UNIQUE (merchant_id, order_number),
    CONSTRAINT installment_plans_link_key UNIQUE (link_code),
    CONSTRAINT installment_plans_id_is_shown CHECK (id ~ '^pln_[0-9a-z]{26}$'),
    CONSTRAINT installment_plans_order_number_length CHECK (length(order_number) BETWEEN 1 AND 44),
    CONSTRAINT installment_plans_price_in_range CHECK (price_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT installment_plans_prepaid_not_negative CHECK (prepaid_kopecks >= 0),
    CONSTRAINT installment_plans_status_is_known CHECK (status IN (
        'new', 'approved', 'rejected', 'wait_for_commit', 'committed', 'completed', 'canceled', 'refunded'
    )),
    CONSTRAINT installment_plans_standing_is_known CHECK (
        standing IN ('none', 'current', 'overdue', 'repaid', 'written_off')
    ),
    CONSTRAINT installment_plans_debt_after_commit CHECK (
        (standing <> 'none') = (status IN ('committed', 'completed', 'refunded'))
        AND (committed_at IS NOT NULL) = (status IN ('committed', 'completed', 'refunded'))
    ),
    CONSTRAINT installment_plans_terms_fixed_at_commit CHECK (
        committed_at IS NULL OR (buyer_id IS NOT NULL AND contract_on IS NOT NULL AND fee_basis_points IS NOT NULL)
    ),
    CONSTRAINT installment_plans_outstanding_not_negative CHECK (outstanding_kopecks >= 0),
    CONSTRAINT installment_plans_owed_while_open CHECK (
        outstanding_kopecks = 0 OR standing IN ('current', 'overdue')
    ),
    CONSTRAINT installment_plans_due_while_owed CHECK ((outstanding_kopecks > 0) = (next_due_on IS NOT NULL)),
    CONSTRAINT installment_plans_fee_not_negative CHECK (fee_kopecks >= 0),
    CONSTRAINT installment_plans_refunded_within_price CHECK (refunded_kopecks BETWEEN 0 AND price_kopecks),
    CONSTRAINT installment_plans_overpaid_not_negative CHECK (overpaid_kopecks >= 0),
    CONSTRAINT installment_plans_penalty_not_negative CHECK (penalty_kopecks >= 0),
    CONSTRAINT installment_plans_collector_is_known CHECK (collector IN ('card', 'sbp')),
    CONSTRAINT installment_plans_token_form CHECK (
        card_token !~ '^[0-9 -]*$' AND length(card_token) BETWEEN 8 AND 64
    ),
    CONSTRAINT installment_plans_expire_before_commit CHECK (
        (expires_at IS NOT NULL) = (status IN ('new', 'approved', 'wait_for_commit'))
    ),
    CONSTRAINT installment_plans_version_positive CHECK (version > 0)
) WITH (fillfactor = 80);
CREATE INDEX installment_plans_of_buyer ON installment_plans (buyer_id, id) WHERE buyer_id IS NOT NULL;
CREATE INDEX installment_plans_expiring ON installment_plans (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX installment_plans_moving ON installment_plans (id) WHERE status IN ('wait_for_commit', 'committed');
CREATE INDEX installment_plans_overpaid ON installment_plans (id) WHERE overpaid_kopecks > 0;
CREATE INDEX installment_plans_of_merchant ON installment_plans (merchant_id, id);
CREATE INDEX installment_plans_overdue ON installment_plans (id) WHERE standing = 'overdue';

CREATE TABLE installments (
    plan_id        text COLLATE "C" NOT NULL,
    number         integer NOT NULL,
    due_on         date NOT NULL,
    amount_kopecks bigint NOT NULL,
    paid_kopecks   bigint NOT NULL DEFAULT 0,
    bucket         text COLLATE "C" NOT NULL DEFAULT 'not_due',
    CONSTRAINT installments_pkey PRIMARY KEY (plan_id, number),
    CONSTRAINT installments_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT installments_number_in_range CHECK (number BETWEEN 1 AND 60),
    CONSTRAINT installments_amount_not_negative CHECK (amount_kopecks >= 0),
    CONSTRAINT installments_paid_within_amount CHECK (paid_kopecks BETWEEN 0 AND amount_kopecks),
    CONSTRAINT installments_bucket_is_known CHECK (bucket IN (
        'not_due', 'due', 'dpd_1_3', 'dpd_4_14', 'dpd_15_30', 'dpd_31_60', 'dpd_61_90', 'dpd_90_plus'
    ))
) WITH (fillfactor = 80);

CREATE INDEX installments_unpaid ON installments (bucket, due_on) WHERE paid_kopecks < amount_kopecks;
-- What is due is found here, so that a plan whose part was paid keeps its place in every index of plans.
CREATE INDEX installments_due ON installments (due_on, plan_id) WHERE paid_kopecks < amount_kopecks;

CREATE TABLE plan_movements (
    id                 text COLLATE "C" NOT NULL,
    plan_id            text COLLATE "C" NOT NULL,
    kind               text COLLATE "C" NOT NULL,
    amount_kopecks     bigint NOT NULL,
    happened_at        timestamptz NOT NULL,
    recorded_at        timestamptz NOT NULL,
    reference          text COLLATE "C" NOT NULL,
    undoes             text COLLATE "C",
    policy             text COLLATE "C",
    installment_number integer,
    new_due_on         date,
    count              integer,
    step               text COLLATE "C",
    every              integer,
    CONSTRAINT plan_movements_pkey PRIMARY KEY (id),
    CONSTRAINT plan_movements_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_movements_undoes_fkey FOREIGN KEY (undoes) REFERENCES plan_movements (id),
    CONSTRAINT plan_movements_reference_key UNIQUE (plan_id, reference),
    CONSTRAINT plan_movements_id_is_shown CHECK (id ~ '^mov_[0-9a-z]{26}$'),
    CONSTRAINT plan_movements_kind_is_known CHECK (kind IN (
        'down_payment', 'installment_payment', 'early_payment', 'merchant_refund', 'payout_refund', 'goodwill',
        'chargeback', 'credit_refund', 'waiver', 're_age', 're_amortise', 'snooze', 'write_off', 'recovery', 'undo'
    )),
    CONSTRAINT plan_movements_amount_fits_kind CHECK (
        CASE WHEN kind IN ('re_age', 're_amortise', 'snooze', 'undo') THEN amount_kopecks = 0
             ELSE amount_kopecks BETWEEN 1 AND 100000000 END
    ),
    CONSTRAINT plan_movements_undo_names_what CHECK (undoes IS NOT NULL OR kind NOT IN ('undo', 'chargeback')),
    CONSTRAINT plan_movements_step_is_known CHECK (
        num_nonnulls(step, every) <> 1 AND step IN ('days', 'months') AND every BETWEEN 1 AND 92
    ),
    CONSTRAINT plan_movements_policy_is_known CHECK (
        policy IN ('proportional', 'next_first', 'last_first', 'reamortise')
    ),
    CONSTRAINT plan_movements_reference_length CHECK (length(reference) BETWEEN 1 AND 100)
);
CREATE UNIQUE INDEX plan_movements_undone_once ON plan_movements (undoes) WHERE kind = 'undo';
CREATE INDEX plan_movements_credits ON plan_movements (plan_id) WHERE kind = 'credit_refund';

CREATE FUNCTION plan_movements_are_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'movements are never changed: undo them'
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'plan_movements_append_only';
END $$;
CREATE TRIGGER plan_movements_append_only BEFORE UPDATE OR DELETE ON plan_movements
    FOR EACH ROW EXECUTE FUNCTION plan_movements_are_facts();

-- What the books say of a plan beside the plan's own columns: the next voucher is the difference from it.
CREATE TABLE plan_books (
    plan_id                 text COLLATE "C" NOT NULL,
    held_kopecks            bigint NOT NULL DEFAULT 0,
    reserved_kopecks        bigint NOT NULL DEFAULT 0,
    fee_recognised_kopecks  bigint NOT NULL DEFAULT 0,
    fee_next_on             date,
    penalty_accrued_kopecks bigint NOT NULL DEFAULT 0,
    penalty_waived_kopecks  bigint NOT NULL DEFAULT 0,
    written_off_kopecks     bigint NOT NULL DEFAULT 0,
    recovered_kopecks       bigint NOT NULL DEFAULT 0,
    accrued_on              date,
    CONSTRAINT plan_books_pkey PRIMARY KEY (plan_id),
    CONSTRAINT plan_books_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_books_held_not_negative CHECK (held_kopecks >= 0),
    CONSTRAINT plan_books_reserved_not_negative CHECK (reserved_kopecks >= 0),
    CONSTRAINT plan_books_recognised_not_negative CHECK (fee_recognised_kopecks >= 0),
    CONSTRAINT plan_books_waived_within_accrued CHECK (
        penalty_waived_kopecks BETWEEN 0 AND penalty_accrued_kopecks
    ),
    CONSTRAINT plan_books_written_off_not_negative CHECK (written_off_kopecks >= 0),
    CONSTRAINT plan_books_recovered_not_negative CHECK (recovered_kopecks >= 0)
) WITH (fillfactor = 80);
CREATE INDEX plan_books_fee_next ON plan_books (fee_next_on, plan_id) WHERE fee_next_on IS NOT NULL;

-- How far each step of each night has come: the row is the night's lock, and a night done is not done again.
CREATE TABLE plan_nights (
    night_on       date NOT NULL,
    step           text COLLATE "C" NOT NULL,
    after_plan_id  text COLLATE "C" NOT NULL DEFAULT '',
    batches        integer NOT NULL DEFAULT 0,
    plans          integer NOT NULL DEFAULT 0,
    amount_kopecks bigint NOT NULL DEFAULT 0,
    began_at       timestamptz NOT NULL,
    ended_at       timestamptz,
    CONSTRAINT plan_nights_pkey PRIMARY KEY (night_on, step),
    CONSTRAINT plan_nights_step_is_known CHECK (step IN ('arrears', 'penalties', 'fees', 'provision', 'payouts')),
    CONSTRAINT plan_nights_counts_not_negative CHECK (batches >= 0 AND plans >= 0)
);

-- Plans that a step of the night could not work on: left out of it until they go through alone.
CREATE TABLE plan_setbacks (
    step       text COLLATE "C" NOT NULL,
    plan_id    text COLLATE "C" NOT NULL,
    code       text COLLATE "C" NOT NULL,
    tries      integer NOT NULL DEFAULT 1,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT plan_setbacks_pkey PRIMARY KEY (step, plan_id),
    CONSTRAINT plan_setbacks_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_setbacks_step_is_known CHECK (step IN (
        'arrears', 'penalties', 'fees', 'stages', 'freezes', 'charges', 'reminders', 'bureau', 'snapshot'
    )),
    CONSTRAINT plan_setbacks_code_length CHECK (length(code) BETWEEN 1 AND 100),
    CONSTRAINT plan_setbacks_tries_positive CHECK (tries > 0)
);

-- The share of the debt of a plan that we expect to lose, by the worst bucket of its installments.
CREATE TABLE plan_loss_rates (
    effective_on date NOT NULL,
    bucket       text COLLATE "C" NOT NULL,
    basis_points integer NOT NULL,
    grade        text COLLATE "C" NOT NULL,
    source       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT plan_loss_rates_pkey PRIMARY KEY (effective_on, bucket),
    CONSTRAINT plan_loss_rates_bucket_is_known CHECK (bucket IN (
        'not_due', 'due', 'dpd_1_3', 'dpd_4_14', 'dpd_15_30', 'dpd_31_60', 'dpd_61_90', 'dpd_90_plus'
    )),
    CONSTRAINT plan_loss_rates_in_range CHECK (basis_points BETWEEN 0 AND 10000),
    CONSTRAINT plan_loss_rates_grade_is_known CHECK (grade IN ('assumed', 'observed')),
    CONSTRAINT plan_loss_rates_source_given CHECK (length(source) BETWEEN 1 AND 500)
);

INSERT INTO plan_loss_rates (effective_on, bucket, basis_points, grade, source)
SELECT '1990-01-01', r.bucket, r.basis_points, 'assumed', 'installments/DECISIONS.md: to be replaced by observed roll rates'
  FROM (VALUES ('not_due', 100), ('due', 100), ('dpd_1_3', 500), ('dpd_4_14', 1500), ('dpd_15_30', 3000),
               ('dpd_31_60', 5000), ('dpd_61_90', 7000), ('dpd_90_plus', 9000)) AS r (bucket, basis_points);

-- Every card that a buyer tried for the first installment; the plan names the one that counts.
CREATE TABLE plan_first_payments (
    payment_id text COLLATE "C" NOT NULL,
    plan_id    text COLLATE "C" NOT NULL,
    number     integer NOT NULL,
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT plan_first_payments_pkey PRIMARY KEY (payment_id),
    CONSTRAINT plan_first_payments_payment_fkey FOREIGN KEY (payment_id) REFERENCES card_payments (id),
    CONSTRAINT plan_first_payments_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_first_payments_number_key UNIQUE (plan_id, number),
    CONSTRAINT plan_first_payments_number_in_range CHECK (number BETWEEN 1 AND 5)
);
CREATE INDEX plan_first_payments_open ON plan_first_payments (plan_id) WHERE settled_at IS NULL;

-- Cards that were tried in place of a committed plan's, each with the consent that its payment carries.
CREATE TABLE plan_card_changes (
    payment_id text COLLATE "C" NOT NULL,
    plan_id    text COLLATE "C" NOT NULL,
    card_token text COLLATE "C" NOT NULL,
    consent    text NOT NULL,
    asked_by   text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL DEFAULT 'asked',
    reason     text COLLATE "C",
    created_at timestamptz NOT NULL,
    ended_at   timestamptz,
    settled_at timestamptz,
    CONSTRAINT plan_card_changes_pkey PRIMARY KEY (payment_id),
    CONSTRAINT plan_card_changes_payment_fkey FOREIGN KEY (payment_id) REFERENCES card_payments (id),
    CONSTRAINT plan_card_changes_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_card_changes_status_is_known CHECK (status IN ('asked', 'replaced', 'refused')),
    CONSTRAINT plan_card_changes_consent_given CHECK (length(consent) BETWEEN 1 AND 500),
    CONSTRAINT plan_card_changes_ended_when_over CHECK ((status = 'asked') = (ended_at IS NULL)),
    CONSTRAINT plan_card_changes_settled_when_over CHECK (settled_at IS NULL OR status <> 'asked'),
    CONSTRAINT plan_card_changes_reason_of_refusal CHECK ((status = 'refused') = (reason IS NOT NULL))
);
CREATE INDEX plan_card_changes_of_plan ON plan_card_changes (plan_id, created_at);
-- One card at a time.
CREATE UNIQUE INDEX plan_card_changes_one_asked ON plan_card_changes (plan_id) WHERE status = 'asked';
CREATE INDEX plan_card_changes_open ON plan_card_changes (plan_id) WHERE settled_at IS NULL;

-- Goods that came back, as the shop told it; what it did to the debt is the movement with the same reference.
CREATE TABLE plan_refunds (
    plan_id          text COLLATE "C" NOT NULL,
    refund_id        text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    amount_kopecks   bigint NOT NULL,
    prepaid_kopecks  bigint NOT NULL DEFAULT 0,
    returned_items   jsonb NOT NULL DEFAULT '[]',
    new_items        jsonb,
    total_kopecks    bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    CONSTRAINT plan_refunds_pkey PRIMARY KEY (plan_id, refund_id),
    CONSTRAINT plan_refunds_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_refunds_id_length CHECK (length(refund_id) BETWEEN 1 AND 64),
    CONSTRAINT plan_refunds_kind_is_known CHECK (kind IN ('return', 'correction', 'delivery')),
    CONSTRAINT plan_refunds_amounts_not_negative CHECK (
        amount_kopecks >= 0 AND prepaid_kopecks >= 0 AND total_kopecks >= 0
    ),
    CONSTRAINT plan_refunds_basket_of_correction CHECK ((new_items IS NOT NULL) = (kind <> 'return'))
);

-- What a buyer had paid too much, on its way back to the card it came from.
CREATE TABLE plan_credit_refunds (
    card_refund_id text COLLATE "C" NOT NULL,
    plan_id        text COLLATE "C" NOT NULL,
    payment_id     text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    movement_id    text COLLATE "C" NOT NULL,
    created_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    is_refused     boolean NOT NULL DEFAULT false,
    CONSTRAINT plan_credit_refunds_pkey PRIMARY KEY (card_refund_id),
    CONSTRAINT plan_credit_refunds_refund_fkey FOREIGN KEY (card_refund_id) REFERENCES card_refunds (id),
    CONSTRAINT plan_credit_refunds_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_credit_refunds_payment_fkey FOREIGN KEY (payment_id) REFERENCES card_payments (id),
    CONSTRAINT plan_credit_refunds_movement_fkey FOREIGN KEY (movement_id) REFERENCES plan_movements (id),
    CONSTRAINT plan_credit_refunds_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT plan_credit_refunds_refused_ended CHECK (ended_at IS NOT NULL OR NOT is_refused)
);
CREATE INDEX plan_credit_refunds_plan ON plan_credit_refunds (plan_id);
CREATE INDEX plan_credit_refunds_open ON plan_credit_refunds (plan_id) WHERE ended_at IS NULL;

-- Buyers' money that a person sent back by a transfer; refused_kopecks of it no card would take.
CREATE TABLE plan_bank_returns (
    bank_reference  text COLLATE "C" NOT NULL,
    plan_id         text COLLATE "C" NOT NULL,
    amount_kopecks  bigint NOT NULL,
    refused_kopecks bigint NOT NULL,
    created_at      timestamptz NOT NULL,
    CONSTRAINT plan_bank_returns_pkey PRIMARY KEY (bank_reference),
    CONSTRAINT plan_bank_returns_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_bank_returns_reference_form CHECK (bank_reference ~ '^[!-~]{1,64}$'),
    CONSTRAINT plan_bank_returns_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT plan_bank_returns_refused_is_part CHECK (refused_kopecks BETWEEN 0 AND amount_kopecks)
);
CREATE INDEX plan_bank_returns_plan ON plan_bank_returns (plan_id);

-- Debts written off and then made over to somebody who collects them from now on.
CREATE TABLE debt_sales (
    id               text COLLATE "C" NOT NULL,
    to_inn           text COLLATE "C" NOT NULL,
    contract_number  text NOT NULL,
    proceeds_kopecks bigint NOT NULL,
    sold_at          timestamptz NOT NULL,
    CONSTRAINT debt_sales_pkey PRIMARY KEY (id),
    CONSTRAINT debt_sales_contract_key UNIQUE (to_inn, contract_number),
    CONSTRAINT debt_sales_id_is_shown CHECK (id ~ '^dsl_[0-9a-z]{26}$'),
    CONSTRAINT debt_sales_inn_form CHECK (to_inn ~ '^([0-9]{10}|[0-9]{12})$'),
    CONSTRAINT debt_sales_contract_length CHECK (length(contract_number) BETWEEN 1 AND 64),
    CONSTRAINT debt_sales_proceeds_not_negative CHECK (proceeds_kopecks >= 0)
);
CREATE TABLE debt_sale_plans (
    plan_id        text COLLATE "C" NOT NULL,
    sale_id        text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    CONSTRAINT debt_sale_plans_pkey PRIMARY KEY (plan_id),
    CONSTRAINT debt_sale_plans_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT debt_sale_plans_sale_fkey FOREIGN KEY (sale_id) REFERENCES debt_sales (id),
    CONSTRAINT debt_sale_plans_amount_not_negative CHECK (amount_kopecks >= 0)
);
CREATE INDEX debt_sale_plans_of_sale ON debt_sale_plans (sale_id, plan_id);

-- Where the buyer's form leads back to, as the shop asked.
CREATE TABLE plan_return_urls (
    plan_id     text COLLATE "C" NOT NULL,
    success_url text COLLATE "C",
    fail_url    text COLLATE "C",
    CONSTRAINT plan_return_urls_pkey PRIMARY KEY (plan_id),
    CONSTRAINT plan_return_urls_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_return_urls_form CHECK (
        (success_url ~ '^https?://[!-~]+$' AND length(success_url) <= 2048) IS NOT FALSE
        AND (fail_url ~ '^https?://[!-~]+$' AND length(fail_url) <= 2048) IS NOT FALSE
    )
);

-- What buyers said and what was decided of them, kept by the migration before, is of plans.
ALTER TABLE buyer_consents
    ADD CONSTRAINT buyer_consents_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id);
ALTER TABLE plan_decisions
    ADD CONSTRAINT plan_decisions_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id);

INSERT INTO installment_products (code, version, name, effective_on, installments, step, every,
    first_share_basis_points, rounding, price_min_kopecks, price_max_kopecks, order_lifetime_seconds,
    hold_lifetime_seconds, refund_policy, penalty_basis_points, penalty_grace_days, is_committed_at_once, is_fee_returned)
VALUES ('dolyame', 1, 'Четыре платежа раз в две недели', '1990-01-01', 4, 'days', 14, 2500, 'kopeck_first', 100, 15000000,
        21600, 432000, 'proportional', 2000, 0, false, true);

-- The operator's charges cost it nothing with us: what acquirers take of us is booked when they settle.
INSERT INTO tariffs (tariff_group, rail, valid_from_on, basis_points, cap_kopecks, rounding, source, is_confirmed)
VALUES ('operator', 'card', '2023-05-01', 0, NULL, 'down', 'our own house', true),
       ('operator', 'sbp', '2023-05-01', 0, NULL, 'down', 'our own house', true);

GRANT SELECT, INSERT ON installment_products, installment_merchant_terms, operator_licences, plan_movements,
    plan_loss_rates, plan_operator, plan_first_payments, plan_refunds, plan_return_urls, plan_bank_returns, debt_sales,
    debt_sale_plans TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON installment_plans, installments, plan_books, plan_nights, plan_setbacks, plan_card_changes, plan_first_payments,
    plan_credit_refunds TO kopeyka_app;
