-- One rail: events that leave with their effects, merchants and their orders, SBP codes and
-- payments, tariffs and payouts. Every rule the packages keep is kept here a second time.

-- Outbox ----------------------------------------------------------------------------------------

CREATE TABLE events (
    id          text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    object_id   text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C",
    sequence    bigint NOT NULL,
    data        jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT events_pkey PRIMARY KEY (id),
    CONSTRAINT events_sequence_key UNIQUE (object_id, sequence),
    CONSTRAINT events_sequence_positive CHECK (sequence > 0),
    CONSTRAINT events_type_is_a_name CHECK (type ~ '^[a-z][a-z0-9_]{0,31}[.][a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT events_id_is_shown CHECK (id ~ '^evt_[0-9a-z]{26}$')
);
CREATE INDEX events_xid ON events (xid, id);

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();
ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only;

-- The only way to publish. Sequences of an object are dense: its lock is taken first, and each
-- statement of this function sees what was committed before it.
-- Locks: one advisory lock for each object, in the order of the objects.
CREATE FUNCTION publish_events(
    p_ids text[], p_types text[], p_objects text[], p_merchants text[], p_data text[], p_created_at timestamptz
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_object text;
BEGIN
    FOR v_object IN SELECT DISTINCT o COLLATE "C" FROM unnest(p_objects) AS o ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(v_object, 3));
    END LOOP;
    INSERT INTO events (id, type, object_id, merchant_id, sequence, data, created_at)
    SELECT n.id, n.type, n.object_id, n.merchant_id,
           coalesce((SELECT max(sequence) FROM events AS e WHERE e.object_id = n.object_id), 0)
               + row_number() OVER (PARTITION BY n.object_id ORDER BY n.place),
           n.data::jsonb, p_created_at
      FROM unnest(p_ids, p_types, p_objects, p_merchants, p_data) WITH ORDINALITY
           AS n (id, type, object_id, merchant_id, data, place);
END $$;

-- How far each destination has been given its events. Rows of transactions that still run are
-- never passed over: the position stays below the oldest of them.
CREATE TABLE relay_positions (
    destination  text COLLATE "C" NOT NULL,
    passed_xid   xid8 NOT NULL DEFAULT '0',
    passed_event text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT relay_positions_pkey PRIMARY KEY (destination)
);

CREATE TABLE deliveries (
    event_id        text COLLATE "C" NOT NULL REFERENCES events,
    destination     text COLLATE "C" NOT NULL,
    object_id       text COLLATE "C" NOT NULL,
    sequence        bigint NOT NULL,
    state           text COLLATE "C" NOT NULL DEFAULT 'pending',
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    lease_until     timestamptz,
    delivered_at    timestamptz,
    last_error      text,
    CONSTRAINT deliveries_pkey PRIMARY KEY (event_id, destination),
    CONSTRAINT deliveries_state_is_known CHECK (state IN ('pending', 'delivered', 'parked')),
    CONSTRAINT deliveries_attempts_not_negative CHECK (attempts >= 0),
    CONSTRAINT deliveries_delivered_at_when_delivered CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX deliveries_pending ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE UNIQUE INDEX deliveries_order ON deliveries (destination, object_id, sequence);

-- Merchants -------------------------------------------------------------------------------------

CREATE TABLE merchants (
    id                  text COLLATE "C" NOT NULL,
    name                text NOT NULL,
    legal_name          text NOT NULL,
    inn                 text COLLATE "C" NOT NULL,
    bank_account_bik    text COLLATE "C" NOT NULL,
    bank_account_number text COLLATE "C" NOT NULL,
    tariff_group        text COLLATE "C" NOT NULL,
    created_at          timestamptz NOT NULL,
    CONSTRAINT merchants_pkey PRIMARY KEY (id),
    CONSTRAINT merchants_id_is_shown CHECK (id ~ '^mer_[0-9a-z]{26}$'),
    CONSTRAINT merchants_name_length CHECK (length(name) BETWEEN 1 AND 100 AND length(legal_name) BETWEEN 1 AND 200),
    CONSTRAINT merchants_inn_is_digits CHECK (inn ~ '^([0-9]{10}|[0-9]{12})$'),
    CONSTRAINT merchants_bik_is_digits CHECK (bank_account_bik ~ '^[0-9]{9}$'),
    CONSTRAINT merchants_bank_account_is_digits CHECK (bank_account_number ~ '^[0-9]{20}$')
);

CREATE TABLE stores (
    id          text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL REFERENCES merchants,
    name        text NOT NULL,
    address     text NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT stores_pkey PRIMARY KEY (id),
    CONSTRAINT stores_merchant_key UNIQUE (id, merchant_id),
    CONSTRAINT stores_id_is_shown CHECK (id ~ '^sto_[0-9a-z]{26}$'),
    CONSTRAINT stores_name_length CHECK (length(name) BETWEEN 1 AND 100 AND length(address) BETWEEN 1 AND 300)
);
CREATE INDEX stores_of_merchant ON stores (merchant_id, id);

CREATE TABLE terminals (
    id          text COLLATE "C" NOT NULL,
    store_id    text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT terminals_pkey PRIMARY KEY (id),
    CONSTRAINT terminals_place_key UNIQUE (id, store_id, merchant_id),
    CONSTRAINT terminals_store_fkey FOREIGN KEY (store_id, merchant_id) REFERENCES stores (id, merchant_id),
    CONSTRAINT terminals_id_is_shown CHECK (id ~ '^ter_[0-9a-z]{26}$'),
    CONSTRAINT terminals_name_length CHECK (length(name) BETWEEN 1 AND 100)
);
CREATE INDEX terminals_of_store ON terminals (store_id, id);

-- Orders ----------------------------------------------------------------------------------------

CREATE TABLE orders (
    id             text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL,
    store_id       text COLLATE "C" NOT NULL,
    terminal_id    text COLLATE "C" NOT NULL,
    number         text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    description    text,
    status         text COLLATE "C" NOT NULL DEFAULT 'open',
    placed_at      timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    paid_at        timestamptz,
    version        integer NOT NULL DEFAULT 1,
    CONSTRAINT orders_pkey PRIMARY KEY (id),
    CONSTRAINT orders_number_key UNIQUE (merchant_id, number),
    CONSTRAINT orders_terminal_fkey FOREIGN KEY (terminal_id, store_id, merchant_id)
        REFERENCES terminals (id, store_id, merchant_id),
    CONSTRAINT orders_id_is_shown CHECK (id ~ '^ord_[0-9a-z]{26}$'),
    CONSTRAINT orders_number_is_printable CHECK (number ~ '^[!-~]([ -~]{0,62}[!-~])?$'),
    CONSTRAINT orders_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT orders_description_length CHECK (length(description) BETWEEN 1 AND 140),
    CONSTRAINT orders_status_is_known CHECK (status IN ('open', 'paid', 'canceled')),
    CONSTRAINT orders_paid_at_when_paid CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT orders_version_positive CHECK (version > 0)
) WITH (fillfactor = 80);
CREATE INDEX orders_of_merchant ON orders (merchant_id, id);

CREATE TABLE attempts (
    id             text COLLATE "C" NOT NULL,
    order_id       text COLLATE "C" NOT NULL REFERENCES orders,
    rail           text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'requested',
    payment_id     text COLLATE "C",
    created_at     timestamptz NOT NULL,
    version        integer NOT NULL DEFAULT 1,
    CONSTRAINT attempts_pkey PRIMARY KEY (id),
    CONSTRAINT attempts_id_is_shown CHECK (id ~ '^att_[0-9a-z]{26}$'),
    CONSTRAINT attempts_rail_is_known CHECK (rail IN ('sbp')),
    CONSTRAINT attempts_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT attempts_status_is_known CHECK (
        status IN ('requested', 'waiting', 'unknown', 'paid', 'rejected', 'expired')
    ),
    CONSTRAINT attempts_payment_when_paid CHECK ((status = 'paid') = (payment_id IS NOT NULL)),
    CONSTRAINT attempts_version_positive CHECK (version > 0)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX attempts_one_live ON attempts (order_id) WHERE status IN ('requested', 'waiting', 'unknown');
CREATE UNIQUE INDEX attempts_one_paid ON attempts (order_id) WHERE status = 'paid';
CREATE INDEX attempts_of_order ON attempts (order_id, id);

-- SBP -------------------------------------------------------------------------------------------

-- What the merchant's bank registered with NSPK: the agent can only be told, no call makes it.
CREATE TABLE sbp_merchants (
    merchant_id      text COLLATE "C" NOT NULL REFERENCES merchants,
    nspk_merchant_id text COLLATE "C" NOT NULL,
    member_id        text COLLATE "C" NOT NULL,
    bank_account     text COLLATE "C" NOT NULL,
    created_at       timestamptz NOT NULL,
    CONSTRAINT sbp_merchants_pkey PRIMARY KEY (merchant_id),
    CONSTRAINT sbp_merchants_nspk_key UNIQUE (nspk_merchant_id),
    CONSTRAINT sbp_merchants_nspk_id_form CHECK (nspk_merchant_id ~ '^M[A-Z][0-9]{10}$'),
    CONSTRAINT sbp_merchants_member_is_digits CHECK (member_id ~ '^[0-9]{12}$'),
    CONSTRAINT sbp_merchants_bank_account_is_digits CHECK (bank_account ~ '^[0-9]{20}$')
);

CREATE TABLE qr_codes (
    id             text COLLATE "C" NOT NULL,
    attempt_id     text COLLATE "C" NOT NULL REFERENCES attempts,
    merchant_id    text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    amount_kopecks bigint NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'requested',
    qrc_id         text COLLATE "C",
    payload        text COLLATE "C",
    purpose        text NOT NULL,
    refusal        text,
    requested_at   timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    polls          integer NOT NULL DEFAULT 0,
    next_poll_at   timestamptz,
    CONSTRAINT qr_codes_pkey PRIMARY KEY (id),
    CONSTRAINT qr_codes_qrc_id_key UNIQUE (qrc_id),
    CONSTRAINT qr_codes_id_is_shown CHECK (id ~ '^qr_[0-9a-z]{26}$'),
    CONSTRAINT qr_codes_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT qr_codes_status_is_known CHECK (
        status IN ('requested', 'registered', 'paid', 'expired', 'refused', 'abandoned')
    ),
    CONSTRAINT qr_codes_qrc_id_form CHECK (qrc_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT qr_codes_link_when_registered CHECK (
        (status IN ('registered', 'paid', 'expired')) = (qrc_id IS NOT NULL) AND (qrc_id IS NULL) = (payload IS NULL)
    ),
    CONSTRAINT qr_codes_lives_a_while CHECK (expires_at > requested_at),
    CONSTRAINT qr_codes_watched_while_open CHECK (
        (status IN ('requested', 'registered')) = (next_poll_at IS NOT NULL)
    ),
    CONSTRAINT qr_codes_polls_not_negative CHECK (polls >= 0)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX qr_codes_one_shown ON qr_codes (attempt_id) WHERE status NOT IN ('refused', 'abandoned');
CREATE INDEX qr_codes_next_poll ON qr_codes (next_poll_at) WHERE next_poll_at IS NOT NULL;

CREATE TABLE sbp_payments (
    id             text COLLATE "C" NOT NULL,
    qr_id          text COLLATE "C" NOT NULL REFERENCES qr_codes,
    attempt_id     text COLLATE "C" NOT NULL REFERENCES attempts,
    merchant_id    text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    trx_id         text COLLATE "C" NOT NULL,
    kzo            text COLLATE "C",
    amount_kopecks bigint NOT NULL,
    fee_kopecks    bigint NOT NULL,
    is_late        boolean NOT NULL,
    entry_id       uuid NOT NULL,
    paid_at        timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    CONSTRAINT sbp_payments_pkey PRIMARY KEY (id),
    CONSTRAINT sbp_payments_trx_id_key UNIQUE (trx_id),
    CONSTRAINT sbp_payments_qr_key UNIQUE (qr_id),
    CONSTRAINT sbp_payments_entry_key UNIQUE (entry_id),
    CONSTRAINT sbp_payments_id_is_shown CHECK (id ~ '^pay_[0-9a-z]{26}$'),
    CONSTRAINT sbp_payments_trx_id_form CHECK (trx_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT sbp_payments_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT sbp_payments_fee_within_amount CHECK (fee_kopecks BETWEEN 0 AND amount_kopecks),
    CONSTRAINT sbp_payments_late_pays_no_fee CHECK (NOT is_late OR fee_kopecks = 0)
);
CREATE INDEX sbp_payments_of_attempt ON sbp_payments (attempt_id);

-- Notifications about links we do not know: kept for a person to look at, never dropped.
CREATE TABLE sbp_parked_notifications (
    qrc_id      text COLLATE "C" NOT NULL,
    trx_id      text COLLATE "C" NOT NULL,
    body        jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT sbp_parked_notifications_pkey PRIMARY KEY (qrc_id, trx_id)
);
CREATE INDEX sbp_parked_notifications_in_order ON sbp_parked_notifications (received_at, qrc_id, trx_id);

-- Tariffs and payouts ---------------------------------------------------------------------------

CREATE TABLE tariffs (
    tariff_group  text COLLATE "C" NOT NULL,
    rail          text COLLATE "C" NOT NULL,
    valid_from_on date NOT NULL,
    basis_points  integer NOT NULL,
    cap_kopecks   bigint,
    rounding      text COLLATE "C" NOT NULL,
    source        text NOT NULL,
    CONSTRAINT tariffs_pkey PRIMARY KEY (tariff_group, rail, valid_from_on),
    CONSTRAINT tariffs_basis_points_in_range CHECK (basis_points BETWEEN 0 AND 10000),
    CONSTRAINT tariffs_cap_not_negative CHECK (cap_kopecks >= 0),
    CONSTRAINT tariffs_rounding_is_known CHECK (rounding IN ('down', 'half_up', 'up'))
);
CREATE TRIGGER tariffs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tariffs
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- Source: Bank of Russia, maximum fees of SBP for merchants since 1 May 2023; fees are cut to the
-- kopeck as banks' registers show. The cap of utilities is the commonly quoted one.
INSERT INTO tariffs (tariff_group, rail, valid_from_on, basis_points, cap_kopecks, rounding, source) VALUES
    ('government', 'sbp', '2023-05-01', 0, NULL, 'down', 'Bank of Russia, SBP tariffs since 1 May 2023, group 1'),
    ('everyday',   'sbp', '2023-05-01', 40, 150000, 'down', 'Bank of Russia, SBP tariffs since 1 May 2023, group 2'),
    ('utilities',  'sbp', '2023-05-01', 20, 1000, 'down', 'Bank of Russia, SBP tariffs since 1 May 2023, group 3'),
    ('standard',   'sbp', '2023-05-01', 70, 150000, 'down', 'Bank of Russia, SBP tariffs since 1 May 2023, group 4');

CREATE TABLE payout_runs (
    id             text COLLATE "C" NOT NULL,
    through_on     date,
    payouts        integer NOT NULL,
    amount_kopecks bigint NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT payout_runs_pkey PRIMARY KEY (id),
    CONSTRAINT payout_runs_id_is_shown CHECK (id ~ '^run_[0-9a-z]{26}$'),
    CONSTRAINT payout_runs_totals_agree CHECK (
        payouts >= 0 AND amount_kopecks >= payouts AND (payouts > 0) = (amount_kopecks > 0)
    )
);

CREATE TABLE payouts (
    id                  text COLLATE "C" NOT NULL,
    run_id              text COLLATE "C" NOT NULL REFERENCES payout_runs,
    merchant_id         text COLLATE "C" NOT NULL REFERENCES merchants,
    amount_kopecks      bigint NOT NULL,
    bank_account_bik    text COLLATE "C" NOT NULL,
    bank_account_number text COLLATE "C" NOT NULL,
    status              text COLLATE "C" NOT NULL DEFAULT 'requested',
    hold_id             uuid NOT NULL,
    entry_id            uuid,
    tries               integer NOT NULL DEFAULT 0,
    next_try_at         timestamptz,
    reason              text,
    created_at          timestamptz NOT NULL,
    sent_at             timestamptz,
    CONSTRAINT payouts_pkey PRIMARY KEY (id),
    CONSTRAINT payouts_one_of_run UNIQUE (run_id, merchant_id),
    CONSTRAINT payouts_hold_key UNIQUE (hold_id),
    CONSTRAINT payouts_entry_key UNIQUE (entry_id),
    CONSTRAINT payouts_id_is_shown CHECK (id ~ '^pyo_[0-9a-z]{26}$'),
    CONSTRAINT payouts_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT payouts_bik_is_digits CHECK (bank_account_bik ~ '^[0-9]{9}$'),
    CONSTRAINT payouts_bank_account_is_digits CHECK (bank_account_number ~ '^[0-9]{20}$'),
    CONSTRAINT payouts_status_is_known CHECK (status IN ('requested', 'unknown', 'sent', 'rejected')),
    CONSTRAINT payouts_booked_when_sent CHECK (
        (status = 'sent') = (sent_at IS NOT NULL) AND (status = 'sent') = (entry_id IS NOT NULL)
    ),
    CONSTRAINT payouts_tried_while_open CHECK ((status IN ('requested', 'unknown')) = (next_try_at IS NOT NULL)),
    CONSTRAINT payouts_tries_not_negative CHECK (tries >= 0)
);
CREATE INDEX payouts_of_merchant ON payouts (merchant_id, id);
CREATE INDEX payouts_next_try ON payouts (next_try_at) WHERE next_try_at IS NOT NULL;

-- Who may do what -------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION publish_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publish_events TO kopeyka_app;
GRANT SELECT ON events, tariffs TO kopeyka_app;
GRANT SELECT, INSERT ON merchants, stores, terminals, sbp_merchants, sbp_payments, sbp_parked_notifications,
    payout_runs TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON relay_positions, deliveries, orders, attempts, qr_codes, payouts TO kopeyka_app;
