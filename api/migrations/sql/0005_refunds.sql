-- What a payment keeps for its refunds ------------------------------------------------------------

-- Old rows have no member of their own: it is read from the merchant's registration.
ALTER TABLE sbp_payments
    ADD COLUMN member_id      text COLLATE "C",
    ADD COLUMN payer_mask     text COLLATE "C",
    ADD COLUMN refund_kopecks bigint NOT NULL DEFAULT 0,
    ADD COLUMN next_refund_at timestamptz,
    ADD CONSTRAINT sbp_payments_member_is_digits CHECK (member_id ~ '^[0-9]{12}$'),
    ADD CONSTRAINT sbp_payments_payer_is_masked CHECK (payer_mask ~ '^[0-9]{0,4}[*]{4,16}[0-9]{0,2}$'),
    ADD CONSTRAINT sbp_payments_refunds_within_amount CHECK (refund_kopecks BETWEEN 0 AND amount_kopecks),
    ADD CONSTRAINT sbp_payments_late_is_refunded CHECK (is_late OR next_refund_at IS NULL);
CREATE INDEX sbp_payments_next_refund ON sbp_payments (next_refund_at) WHERE next_refund_at IS NOT NULL;

-- Refunds -----------------------------------------------------------------------------------------

CREATE TABLE sbp_refunds (
    id                   text COLLATE "C" NOT NULL,
    payment_id           text COLLATE "C" NOT NULL REFERENCES sbp_payments,
    merchant_id          text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    amount_kopecks       bigint NOT NULL,
    fee_returned_kopecks bigint NOT NULL DEFAULT 0,
    fee_billed_kopecks   bigint NOT NULL DEFAULT 0,
    reason               text,
    is_automatic         boolean NOT NULL,
    status               text COLLATE "C" NOT NULL DEFAULT 'requested',
    agent_request_id     text COLLATE "C" NOT NULL,
    opkc_request_id      text COLLATE "C",
    trx_id               text COLLATE "C",
    payee_mask           text COLLATE "C",
    refusal_code         text COLLATE "C",
    refusal_message      text,
    hold_id              uuid,
    fee_hold_id          uuid,
    entry_id             uuid,
    tries                integer NOT NULL DEFAULT 0,
    looks                integer NOT NULL DEFAULT 0,
    asked_at             timestamptz,
    next_look_at         timestamptz,
    created_at           timestamptz NOT NULL,
    ended_at             timestamptz,
    CONSTRAINT sbp_refunds_pkey PRIMARY KEY (id),
    CONSTRAINT sbp_refunds_agent_request_key UNIQUE (agent_request_id),
    CONSTRAINT sbp_refunds_opkc_request_key UNIQUE (opkc_request_id),
    CONSTRAINT sbp_refunds_trx_id_key UNIQUE (trx_id),
    CONSTRAINT sbp_refunds_hold_key UNIQUE (hold_id),
    CONSTRAINT sbp_refunds_fee_hold_key UNIQUE (fee_hold_id),
    CONSTRAINT sbp_refunds_entry_key UNIQUE (entry_id),
    CONSTRAINT sbp_refunds_id_is_shown CHECK (id ~ '^ref_[0-9a-z]{26}$'),
    CONSTRAINT sbp_refunds_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT sbp_refunds_fee_within_amount CHECK (
        fee_returned_kopecks BETWEEN 0 AND amount_kopecks AND fee_billed_kopecks BETWEEN 0 AND amount_kopecks
    ),
    CONSTRAINT sbp_refunds_fee_one_way CHECK (fee_returned_kopecks = 0 OR fee_billed_kopecks = 0),
    CONSTRAINT sbp_refunds_reason_length CHECK (length(reason) BETWEEN 1 AND 140),
    CONSTRAINT sbp_refunds_status_is_known CHECK (
        status IN ('requested', 'unknown', 'asked', 'approved', 'succeeded', 'refused', 'failed')
    ),
    CONSTRAINT sbp_refunds_agent_request_form CHECK (agent_request_id ~ '^[0-9a-f]{32}$'),
    CONSTRAINT sbp_refunds_opkc_request_form CHECK (opkc_request_id ~ '^[0-9A-Za-z-]{1,64}$'),
    CONSTRAINT sbp_refunds_trx_id_form CHECK (trx_id ~ '^[0-9A-Z]{32}$'),
    CONSTRAINT sbp_refunds_payee_is_masked CHECK (payee_mask ~ '^[0-9]{0,4}[*]{4,16}[0-9]{0,2}$'),
    CONSTRAINT sbp_refunds_known_to_nspk CHECK (
        status NOT IN ('asked', 'approved', 'succeeded', 'failed') OR opkc_request_id IS NOT NULL
    ),
    CONSTRAINT sbp_refunds_moved_when_succeeded CHECK (
        (status = 'succeeded') = (trx_id IS NOT NULL) AND (status = 'succeeded') = (entry_id IS NOT NULL)
    ),
    CONSTRAINT sbp_refunds_refusal_is_said CHECK (status NOT IN ('refused', 'failed') OR refusal_code IS NOT NULL),
    CONSTRAINT sbp_refunds_ended_when_final CHECK (
        (status IN ('succeeded', 'refused', 'failed')) = (ended_at IS NOT NULL)
    ),
    CONSTRAINT sbp_refunds_looked_at_while_open CHECK (
        (status IN ('requested', 'unknown', 'asked', 'approved')) = (next_look_at IS NOT NULL)
    ),
    CONSTRAINT sbp_refunds_counters_not_negative CHECK (tries >= 0 AND looks >= 0)
) WITH (fillfactor = 70);
CREATE INDEX sbp_refunds_of_payment ON sbp_refunds (payment_id, id);
CREATE INDEX sbp_refunds_of_merchant ON sbp_refunds (merchant_id, id);
CREATE INDEX sbp_refunds_next_look ON sbp_refunds (next_look_at) WHERE next_look_at IS NOT NULL;

-- Each time NSPK was asked to refund: what the limits of one an hour and five a day count.
CREATE TABLE sbp_refund_tries (
    payment_id text COLLATE "C" NOT NULL REFERENCES sbp_payments,
    number     integer NOT NULL,
    refund_id  text COLLATE "C" NOT NULL REFERENCES sbp_refunds,
    asked_at   timestamptz NOT NULL,
    is_unheard boolean NOT NULL DEFAULT false,
    CONSTRAINT sbp_refund_tries_pkey PRIMARY KEY (payment_id, number),
    CONSTRAINT sbp_refund_tries_number_positive CHECK (number > 0)
);
CREATE INDEX sbp_refund_tries_of_refund ON sbp_refund_tries (refund_id);

-- What PostgreSQL refuses by itself ---------------------------------------------------------------

-- The counter on the payment is the sum of its refunds that were not refused: together with its CHECK
-- no two sessions can give back more than was paid. Looked at when the transaction commits.
CREATE FUNCTION sbp_refunds_must_agree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_payment text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF (SELECT refund_kopecks FROM sbp_payments WHERE id = v_payment) <> (
        SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_refunds
         WHERE payment_id = v_payment AND status NOT IN ('refused', 'failed')
    ) THEN
        RAISE EXCEPTION 'the refunds of % do not add up to its counter', v_payment
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sbp_refunds_agree';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER sbp_refunds_agree AFTER INSERT OR UPDATE OF status, amount_kopecks, payment_id ON sbp_refunds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sbp_refunds_must_agree('payment_id');
CREATE CONSTRAINT TRIGGER sbp_payments_refunds_agree AFTER UPDATE OF refund_kopecks ON sbp_payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sbp_refunds_must_agree('id');

CREATE FUNCTION sbp_refunds_end_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refund % has ended as %', OLD.id, OLD.status
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'sbp_refunds_final';
END $$;
CREATE TRIGGER sbp_refunds_final BEFORE UPDATE ON sbp_refunds
    FOR EACH ROW WHEN (OLD.status IN ('succeeded', 'refused', 'failed')) EXECUTE FUNCTION sbp_refunds_end_once();

-- Source: T-Kassa error codes 3029 and 3030: NSPK takes one try an hour and five a day for an operation.
CREATE FUNCTION sbp_refund_tries_within() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM sbp_refund_tries WHERE payment_id = NEW.payment_id AND NOT is_unheard
                  AND asked_at > NEW.asked_at - interval '1 hour')
       OR (SELECT count(*) FROM sbp_refund_tries WHERE payment_id = NEW.payment_id AND NOT is_unheard
              AND asked_at > NEW.asked_at - interval '1 day') >= 5 THEN
        RAISE EXCEPTION 'payment % was asked to be refunded too often', NEW.payment_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sbp_refund_tries_limits';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sbp_refund_tries_limits BEFORE INSERT ON sbp_refund_tries
    FOR EACH ROW EXECUTE FUNCTION sbp_refund_tries_within();

GRANT SELECT, INSERT, UPDATE ON sbp_refunds TO kopeyka_app;
GRANT SELECT, INSERT ON sbp_refund_tries TO kopeyka_app;
GRANT UPDATE (is_unheard) ON sbp_refund_tries TO kopeyka_app;
GRANT UPDATE (kzo, refund_kopecks, next_refund_at) ON sbp_payments TO kopeyka_app;
