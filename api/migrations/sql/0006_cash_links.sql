-- Cash links ------------------------------------------------------------------------------------

-- Ids that NSPK set aside for us, so that plates can be printed before they are registered.
CREATE TABLE cash_link_reservations (
    qrc_id      text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" REFERENCES merchants,
    reserved_at timestamptz NOT NULL,
    CONSTRAINT cash_link_reservations_pkey PRIMARY KEY (qrc_id),
    CONSTRAINT cash_link_reservations_qrc_id_form CHECK (qrc_id ~ '^[0-9A-Z]{32}$')
);

CREATE TABLE cash_links (
    id           text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    store_id     text COLLATE "C" NOT NULL,
    terminal_id  text COLLATE "C" NOT NULL,
    bank_account text COLLATE "C" NOT NULL,
    status       text COLLATE "C" NOT NULL DEFAULT 'requested',
    qrc_id       text COLLATE "C",
    payload      text COLLATE "C",
    refusal      text,
    requested_at timestamptz NOT NULL,
    next_try_at  timestamptz,
    CONSTRAINT cash_links_pkey PRIMARY KEY (id),
    CONSTRAINT cash_links_terminal_fkey FOREIGN KEY (terminal_id, store_id, merchant_id)
        REFERENCES terminals (id, store_id, merchant_id),
    CONSTRAINT cash_links_id_is_shown CHECK (id ~ '^csh_[0-9a-z]{26}$'),
    CONSTRAINT cash_links_bank_account_is_digits CHECK (bank_account ~ '^[0-9]{20}$'),
    CONSTRAINT cash_links_status_is_known CHECK (status IN ('requested', 'registered', 'refused')),
    CONSTRAINT cash_links_qrc_id_form CHECK (qrc_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT cash_links_link_when_registered CHECK (
        (status = 'registered') = (payload IS NOT NULL) AND (payload IS NULL OR qrc_id IS NOT NULL)
    ),
    CONSTRAINT cash_links_tried_while_requested CHECK ((status = 'requested') = (next_try_at IS NOT NULL))
);
CREATE UNIQUE INDEX cash_links_qrc_id_key ON cash_links (qrc_id) WHERE status <> 'refused';
CREATE INDEX cash_links_of_merchant ON cash_links (merchant_id, id);
CREATE INDEX cash_links_next_try ON cash_links (next_try_at) WHERE next_try_at IS NOT NULL;

CREATE TABLE cash_link_activations (
    id             text COLLATE "C" NOT NULL,
    cash_link_id   text COLLATE "C" NOT NULL REFERENCES cash_links,
    attempt_id     text COLLATE "C" NOT NULL REFERENCES attempts,
    merchant_id    text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    amount_kopecks bigint NOT NULL,
    purpose        text NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'requested',
    params_id      text COLLATE "C",
    refusal        text,
    requested_at   timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    arms           integer NOT NULL DEFAULT 1,
    asked_again_at timestamptz,
    polls          integer NOT NULL DEFAULT 0,
    next_poll_at   timestamptz,
    CONSTRAINT cash_link_activations_pkey PRIMARY KEY (id),
    CONSTRAINT cash_link_activations_attempt_key UNIQUE (attempt_id),
    CONSTRAINT cash_link_activations_sale_key UNIQUE (cash_link_id, params_id),
    CONSTRAINT cash_link_activations_id_is_shown CHECK (id ~ '^acv_[0-9a-z]{26}$'),
    CONSTRAINT cash_link_activations_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT cash_link_activations_status_is_known CHECK (
        status IN ('requested', 'waiting', 'deactivating', 'deactivated', 'paid', 'refused')
    ),
    CONSTRAINT cash_link_activations_params_id_form CHECK (params_id ~ '^[0-9A-Za-z_-]{1,64}$'),
    CONSTRAINT cash_link_activations_params_when_live CHECK (
        CASE WHEN status IN ('waiting', 'paid') THEN params_id IS NOT NULL
             WHEN status IN ('requested', 'refused') THEN params_id IS NULL ELSE true END
    ),
    CONSTRAINT cash_link_activations_lives_a_while CHECK (
        expires_at > requested_at AND expires_at <= requested_at + interval '20 minutes'
    ),
    CONSTRAINT cash_link_activations_watched_while_live CHECK (
        (status IN ('requested', 'waiting', 'deactivating')) = (next_poll_at IS NOT NULL)
    ),
    CONSTRAINT cash_link_activations_arms_positive CHECK (arms > 0),
    CONSTRAINT cash_link_activations_polls_not_negative CHECK (polls >= 0)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX cash_link_activations_one_live ON cash_link_activations (cash_link_id)
    WHERE status IN ('requested', 'waiting', 'deactivating');
CREATE INDEX cash_link_activations_next_poll ON cash_link_activations (next_poll_at) WHERE next_poll_at IS NOT NULL;

-- Stickers --------------------------------------------------------------------------------------

CREATE TABLE sbp_stickers (
    id             text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    store_id       text COLLATE "C" NOT NULL,
    terminal_id    text COLLATE "C" NOT NULL,
    amount_kopecks bigint,
    purpose        text NOT NULL,
    qrc_id         text COLLATE "C" NOT NULL,
    payload        text COLLATE "C" NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT sbp_stickers_pkey PRIMARY KEY (id),
    CONSTRAINT sbp_stickers_terminal_fkey FOREIGN KEY (terminal_id, store_id, merchant_id)
        REFERENCES terminals (id, store_id, merchant_id),
    CONSTRAINT sbp_stickers_one_of_terminal UNIQUE (terminal_id),
    CONSTRAINT sbp_stickers_qrc_id_key UNIQUE (qrc_id),
    CONSTRAINT sbp_stickers_id_is_shown CHECK (id ~ '^stk_[0-9a-z]{26}$'),
    CONSTRAINT sbp_stickers_qrc_id_form CHECK (qrc_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT sbp_stickers_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000)
);
CREATE INDEX sbp_stickers_of_merchant ON sbp_stickers (merchant_id, id);

-- Unmatched payments ----------------------------------------------------------------------------

-- Money that came under a link of ours and belongs to no order yet: a person says to which, or that it goes back.
CREATE TABLE sbp_unmatched_payments (
    id             text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    sticker_id     text COLLATE "C" REFERENCES sbp_stickers,
    cash_link_id   text COLLATE "C" REFERENCES cash_links,
    qr_id          text COLLATE "C" REFERENCES qr_codes,
    reason         text COLLATE "C" NOT NULL,
    trx_id         text COLLATE "C" NOT NULL,
    kzo            text COLLATE "C",
    amount_kopecks bigint NOT NULL,
    settlement_mode text COLLATE "C" NOT NULL,
    entry_id       uuid NOT NULL,
    paid_at        timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'open',
    order_id       text COLLATE "C" REFERENCES orders,
    matched_at     timestamptz,
    returned_at    timestamptz,
    CONSTRAINT sbp_unmatched_payments_pkey PRIMARY KEY (id),
    CONSTRAINT sbp_unmatched_payments_trx_id_key UNIQUE (trx_id),
    CONSTRAINT sbp_unmatched_payments_entry_key UNIQUE (entry_id),
    CONSTRAINT sbp_unmatched_payments_id_is_shown CHECK (id ~ '^ump_[0-9a-z]{26}$'),
    CONSTRAINT sbp_unmatched_payments_of_one_link CHECK (num_nonnulls(sticker_id, cash_link_id, qr_id) = 1),
    CONSTRAINT sbp_unmatched_payments_reason_is_known CHECK (
        reason IN ('sticker', 'activation_unknown', 'amount_differs', 'paid_already')
    ),
    CONSTRAINT sbp_unmatched_payments_trx_id_form CHECK (trx_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT sbp_unmatched_payments_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT sbp_unmatched_payments_settlement_mode_is_known CHECK (settlement_mode IN ('collected', 'direct')),
    CONSTRAINT sbp_unmatched_payments_status_is_known CHECK (status IN ('open', 'matched', 'returned')),
    CONSTRAINT sbp_unmatched_payments_order_when_matched CHECK (
        (status = 'matched') = (order_id IS NOT NULL) AND (status = 'matched') = (matched_at IS NOT NULL)
    ),
    CONSTRAINT sbp_unmatched_payments_dated_when_returned CHECK ((status = 'returned') = (returned_at IS NOT NULL))
);
CREATE UNIQUE INDEX sbp_unmatched_payments_one_of_order ON sbp_unmatched_payments (order_id);
CREATE INDEX sbp_unmatched_payments_of_merchant ON sbp_unmatched_payments (merchant_id, id);

-- Account bindings --------------------------------------------------------------------------------

CREATE TABLE account_bindings (
    id              text COLLATE "C" NOT NULL,
    merchant_id     text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    buyer_reference text NOT NULL,
    purpose         text NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'waiting',
    qrc_id          text COLLATE "C" NOT NULL,
    payload         text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C",
    payer_member_id text COLLATE "C",
    requested_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    polls           integer NOT NULL DEFAULT 0,
    next_poll_at    timestamptz,
    CONSTRAINT account_bindings_pkey PRIMARY KEY (id),
    CONSTRAINT account_bindings_qrc_id_key UNIQUE (qrc_id),
    CONSTRAINT account_bindings_id_is_shown CHECK (id ~ '^bnd_[0-9a-z]{26}$'),
    CONSTRAINT account_bindings_qrc_id_form CHECK (qrc_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT account_bindings_reference_length CHECK (length(buyer_reference) BETWEEN 1 AND 64),
    CONSTRAINT account_bindings_status_is_known CHECK (status IN ('waiting', 'bound', 'expired', 'ended')),
    CONSTRAINT account_bindings_consent_when_bound CHECK (
        (status IN ('bound', 'ended')) = (subscription_id IS NOT NULL)
        AND (subscription_id IS NULL) = (payer_member_id IS NULL)
    ),
    CONSTRAINT account_bindings_lives_a_while CHECK (expires_at > requested_at),
    CONSTRAINT account_bindings_watched_while_waiting CHECK ((status = 'waiting') = (next_poll_at IS NOT NULL)),
    CONSTRAINT account_bindings_polls_not_negative CHECK (polls >= 0)
);
CREATE INDEX account_bindings_of_merchant ON account_bindings (merchant_id, id);
CREATE INDEX account_bindings_next_poll ON account_bindings (next_poll_at) WHERE next_poll_at IS NOT NULL;

-- An attempt whose code is paid by a binding; the code says what became of the money.
CREATE TABLE binding_charges (
    attempt_id   text COLLATE "C" NOT NULL REFERENCES attempts,
    binding_id   text COLLATE "C" NOT NULL REFERENCES account_bindings,
    refusal      text,
    requested_at timestamptz NOT NULL,
    next_try_at  timestamptz,
    CONSTRAINT binding_charges_pkey PRIMARY KEY (attempt_id),
    CONSTRAINT binding_charges_refused_is_over CHECK (refusal IS NULL OR next_try_at IS NULL)
);
CREATE INDEX binding_charges_next_try ON binding_charges (next_try_at) WHERE next_try_at IS NOT NULL;

-- Payments of more kinds of links -----------------------------------------------------------------

ALTER TABLE sbp_payments
    ALTER COLUMN qr_id DROP NOT NULL,
    ALTER COLUMN attempt_id DROP NOT NULL,
    ADD COLUMN activation_id text COLLATE "C"
        CONSTRAINT sbp_payments_activation_id_fkey REFERENCES cash_link_activations,
    ADD COLUMN unmatched_payment_id text COLLATE "C"
        CONSTRAINT sbp_payments_unmatched_payment_id_fkey REFERENCES sbp_unmatched_payments,
    ADD CONSTRAINT sbp_payments_activation_key UNIQUE (activation_id),
    ADD CONSTRAINT sbp_payments_unmatched_payment_key UNIQUE (unmatched_payment_id),
    ADD CONSTRAINT sbp_payments_of_one_offer CHECK (num_nonnulls(qr_id, activation_id, unmatched_payment_id) = 1),
    -- Only money that belongs to no order and goes back has no attempt.
    ADD CONSTRAINT sbp_payments_of_an_attempt CHECK (
        attempt_id IS NOT NULL OR (unmatched_payment_id IS NOT NULL AND is_late)
    );

-- Who may do what -------------------------------------------------------------------------------

GRANT SELECT, INSERT ON cash_link_reservations, sbp_stickers TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON cash_links, cash_link_activations, sbp_unmatched_payments, account_bindings,
    binding_charges TO kopeyka_app;
