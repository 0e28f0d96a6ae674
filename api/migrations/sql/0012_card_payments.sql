-- Payments by card: tokens, masks and results. Card numbers are in the vault, and only there.

ALTER TABLE attempts DROP CONSTRAINT attempts_rail_is_known;
ALTER TABLE attempts ADD CONSTRAINT attempts_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay'));

CREATE TABLE card_payments (
    id                  text COLLATE "C" NOT NULL,
    merchant_id         text COLLATE "C" NOT NULL,
    attempt_id          text COLLATE "C",
    first_payment_id    text COLLATE "C",
    card_token          text COLLATE "C" NOT NULL,
    card_mask           text COLLATE "C",
    amount_kopecks      bigint NOT NULL,
    capture_kopecks     bigint,
    captured_kopecks    bigint NOT NULL DEFAULT 0,
    refund_kopecks      bigint NOT NULL DEFAULT 0,
    fee_kopecks         bigint NOT NULL DEFAULT 0,
    is_captured_at_once boolean NOT NULL,
    initiator           text COLLATE "C" NOT NULL,
    is_credential_kept  boolean NOT NULL,
    status              text COLLATE "C" NOT NULL DEFAULT 'requested',
    reason              text COLLATE "C",
    acquirer_id         text COLLATE "C",
    rrn                 text COLLATE "C",
    approval_code       text COLLATE "C",
    entry_id            uuid,
    looks               integer NOT NULL DEFAULT 0,
    next_look_at        timestamptz,
    created_at          timestamptz NOT NULL,
    captured_at         timestamptz,
    ended_at            timestamptz,
    version             integer NOT NULL DEFAULT 1,
    CONSTRAINT card_payments_pkey PRIMARY KEY (id),
    CONSTRAINT card_payments_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT card_payments_attempt_fkey FOREIGN KEY (attempt_id) REFERENCES attempts (id),
    CONSTRAINT card_payments_first_fkey FOREIGN KEY (first_payment_id) REFERENCES card_payments (id),
    CONSTRAINT card_payments_attempt_key UNIQUE (attempt_id),
    CONSTRAINT card_payments_entry_key UNIQUE (entry_id),
    CONSTRAINT card_payments_id_is_shown CHECK (id ~ '^cpy_[0-9a-z]{26}$'),
    CONSTRAINT card_payments_token_form CHECK (card_token !~ '^[0-9 -]*$' AND length(card_token) BETWEEN 8 AND 64),
    CONSTRAINT card_payments_mask_hides CHECK (card_mask ~ '^[0-9]{6}[*]{3,9}[0-9]{4}$'),
    CONSTRAINT card_payments_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT card_payments_capture_within_amount CHECK (capture_kopecks BETWEEN 1 AND amount_kopecks),
    CONSTRAINT card_payments_captured_within_amount CHECK (captured_kopecks BETWEEN 0 AND amount_kopecks),
    CONSTRAINT card_payments_refunds_within_captured CHECK (refund_kopecks BETWEEN 0 AND captured_kopecks),
    CONSTRAINT card_payments_fee_within_captured CHECK (fee_kopecks BETWEEN 0 AND captured_kopecks),
    CONSTRAINT card_payments_initiator_is_known CHECK (initiator IN ('buyer', 'merchant')),
    CONSTRAINT card_payments_merchant_names_first CHECK ((initiator = 'merchant') = (first_payment_id IS NOT NULL)),
    CONSTRAINT card_payments_consent_is_the_buyers CHECK (NOT is_credential_kept OR initiator = 'buyer'),
    CONSTRAINT card_payments_status_is_known CHECK (
        status IN ('requested', 'unknown', 'authorised', 'capturing', 'captured', 'voiding', 'voided', 'refused')
    ),
    CONSTRAINT card_payments_booked_when_captured CHECK (
        (status = 'captured') = (entry_id IS NOT NULL) AND (status = 'captured') = (captured_kopecks > 0)
        AND (status = 'captured') = (captured_at IS NOT NULL)
    ),
    CONSTRAINT card_payments_ended_when_over CHECK ((status IN ('voided', 'refused')) = (ended_at IS NOT NULL)),
    CONSTRAINT card_payments_capture_named CHECK (status <> 'capturing' OR capture_kopecks IS NOT NULL),
    CONSTRAINT card_payments_acquirer_named CHECK (
        acquirer_id IS NOT NULL OR status IN ('requested', 'unknown', 'refused')
    ),
    CONSTRAINT card_payments_watched_while_unsure CHECK (
        (status IN ('requested', 'unknown', 'capturing', 'voiding')) = (next_look_at IS NOT NULL)
    ),
    CONSTRAINT card_payments_looks_not_negative CHECK (looks >= 0),
    CONSTRAINT card_payments_version_positive CHECK (version > 0)
) WITH (fillfactor = 70);
CREATE INDEX card_payments_of_merchant ON card_payments (merchant_id, id);
CREATE INDEX card_payments_next_look ON card_payments (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX card_payments_held ON card_payments (attempt_id) WHERE status = 'authorised' AND attempt_id IS NOT NULL;

CREATE TABLE card_refunds (
    id                 text COLLATE "C" NOT NULL,
    payment_id         text COLLATE "C" NOT NULL,
    merchant_id        text COLLATE "C" NOT NULL,
    amount_kopecks     bigint NOT NULL,
    fee_billed_kopecks bigint NOT NULL DEFAULT 0,
    reason             text,
    status             text COLLATE "C" NOT NULL DEFAULT 'requested',
    refusal            text COLLATE "C",
    rrn                text COLLATE "C",
    hold_id            uuid,
    fee_hold_id        uuid,
    entry_id           uuid,
    looks              integer NOT NULL DEFAULT 0,
    next_look_at       timestamptz,
    created_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    CONSTRAINT card_refunds_pkey PRIMARY KEY (id),
    CONSTRAINT card_refunds_payment_fkey FOREIGN KEY (payment_id) REFERENCES card_payments (id),
    CONSTRAINT card_refunds_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT card_refunds_hold_key UNIQUE (hold_id),
    CONSTRAINT card_refunds_fee_hold_key UNIQUE (fee_hold_id),
    CONSTRAINT card_refunds_entry_key UNIQUE (entry_id),
    CONSTRAINT card_refunds_id_is_shown CHECK (id ~ '^ref_[0-9a-z]{26}$'),
    CONSTRAINT card_refunds_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT card_refunds_fee_within_amount CHECK (fee_billed_kopecks BETWEEN 0 AND amount_kopecks),
    CONSTRAINT card_refunds_reason_length CHECK (length(reason) BETWEEN 1 AND 140),
    CONSTRAINT card_refunds_status_is_known CHECK (status IN ('requested', 'unknown', 'succeeded', 'refused')),
    CONSTRAINT card_refunds_set_aside CHECK (hold_id IS NOT NULL OR fee_hold_id IS NOT NULL),
    CONSTRAINT card_refunds_booked_when_succeeded CHECK ((status = 'succeeded') = (entry_id IS NOT NULL)),
    CONSTRAINT card_refunds_ended_when_over CHECK ((status IN ('succeeded', 'refused')) = (ended_at IS NOT NULL)),
    CONSTRAINT card_refunds_watched_while_open CHECK (
        (status IN ('requested', 'unknown')) = (next_look_at IS NOT NULL)
    ),
    CONSTRAINT card_refunds_looks_not_negative CHECK (looks >= 0)
) WITH (fillfactor = 70);
CREATE INDEX card_refunds_of_payment ON card_refunds (payment_id, id);
CREATE INDEX card_refunds_of_merchant ON card_refunds (merchant_id, id);
CREATE INDEX card_refunds_next_look ON card_refunds (next_look_at) WHERE next_look_at IS NOT NULL;

-- At the end of each transaction the counter of a payment is the sum of its refunds that did not come to nothing.
CREATE FUNCTION card_refunds_must_agree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_payment text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF (SELECT refund_kopecks FROM card_payments WHERE id = v_payment) <> (
        SELECT coalesce(sum(amount_kopecks), 0) FROM card_refunds
         WHERE payment_id = v_payment AND status <> 'refused'
    ) THEN
        RAISE EXCEPTION 'the refunds of % do not add up to its counter', v_payment
            USING ERRCODE = 'check_violation', CONSTRAINT = 'card_refunds_agree';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER card_refunds_agree AFTER INSERT OR UPDATE OF status, amount_kopecks, payment_id
    ON card_refunds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION card_refunds_must_agree('payment_id');
CREATE CONSTRAINT TRIGGER card_payments_refunds_agree AFTER UPDATE OF refund_kopecks ON card_payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION card_refunds_must_agree('id');

CREATE FUNCTION card_money_moves_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% has ended as %', OLD.id, OLD.status
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER card_payments_final BEFORE UPDATE ON card_payments FOR EACH ROW
    WHEN (OLD.status IN ('captured', 'voided', 'refused') AND (NEW.status, NEW.captured_kopecks, NEW.entry_id)
          IS DISTINCT FROM (OLD.status, OLD.captured_kopecks, OLD.entry_id))
    EXECUTE FUNCTION card_money_moves_once();
CREATE TRIGGER card_refunds_final BEFORE UPDATE ON card_refunds FOR EACH ROW
    WHEN (OLD.status IN ('succeeded', 'refused')) EXECUTE FUNCTION card_money_moves_once();

-- No tariff of cards is public: these are this house's own, to be replaced by each installation's contract.
INSERT INTO tariffs (tariff_group, rail, valid_from_on, basis_points, cap_kopecks, rounding, source, is_confirmed)
SELECT tariff_group, 'card', '2023-05-01', basis_points, NULL, 'half_up', 'example of a card contract', false
  FROM (VALUES ('government', 0), ('everyday', 150), ('utilities', 100), ('standard', 200))
    AS example (tariff_group, basis_points);

GRANT SELECT, INSERT, UPDATE ON card_payments, card_refunds TO kopeyka_app;
