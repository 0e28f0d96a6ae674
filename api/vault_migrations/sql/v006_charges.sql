-- Card charges: what was asked of the acquirer, under which number, and what it answered. No card number and no
-- verification code has a column here.

CREATE SEQUENCE charge_stans AS integer MINVALUE 1 MAXVALUE 999999 CYCLE;

CREATE TABLE charges (
    id                  text COLLATE "C" NOT NULL,
    merchant_id         text COLLATE "C" NOT NULL,
    card_token          text COLLATE "C" NOT NULL,
    card_mask           text COLLATE "C" NOT NULL,
    amount_kopecks      bigint NOT NULL,
    captured_kopecks    bigint NOT NULL DEFAULT 0,
    refund_kopecks      bigint NOT NULL DEFAULT 0,
    is_captured_at_once boolean NOT NULL,
    initiator           text COLLATE "C" NOT NULL,
    is_credential_kept  boolean NOT NULL,
    first_charge_id     text COLLATE "C",
    status              text COLLATE "C" NOT NULL DEFAULT 'requested',
    reason              text COLLATE "C",
    response_code       text COLLATE "C",
    rrn                 text COLLATE "C",
    approval_code       text COLLATE "C",
    network_reference   text COLLATE "C",
    looks               integer NOT NULL DEFAULT 0,
    next_look_at        timestamptz,
    created_at          timestamptz NOT NULL,
    changed_at          timestamptz NOT NULL,
    version             integer NOT NULL DEFAULT 1,
    CONSTRAINT charges_pkey PRIMARY KEY (id),
    CONSTRAINT charges_first_fkey FOREIGN KEY (first_charge_id) REFERENCES charges (id),
    CONSTRAINT charges_id_form CHECK (id ~ '^[a-z]{2,8}_[0-9A-Za-z]{16,48}$'),
    CONSTRAINT charges_mask_hides CHECK (card_mask ~ '^[0-9]{6}[*]{3,9}[0-9]{4}$'),
    CONSTRAINT charges_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT charges_captured_within_amount CHECK (captured_kopecks BETWEEN 0 AND amount_kopecks),
    CONSTRAINT charges_refunds_within_captured CHECK (refund_kopecks BETWEEN 0 AND captured_kopecks),
    CONSTRAINT charges_initiator_is_known CHECK (initiator IN ('buyer', 'merchant')),
    CONSTRAINT charges_merchant_names_first CHECK ((initiator = 'merchant') = (first_charge_id IS NOT NULL)),
    CONSTRAINT charges_consent_is_the_buyers CHECK (NOT is_credential_kept OR initiator = 'buyer'),
    CONSTRAINT charges_status_is_known CHECK (
        status IN ('requested', 'unknown', 'authorised', 'capturing', 'captured', 'voiding', 'voided', 'refused',
                   'reversed')
    ),
    CONSTRAINT charges_captured_when_captured CHECK (
        CASE status WHEN 'captured' THEN captured_kopecks > 0 WHEN 'voiding' THEN true ELSE captured_kopecks = 0 END
    ),
    CONSTRAINT charges_rrn_form CHECK (rrn ~ '^[0-9A-Za-z]{12}$'),
    CONSTRAINT charges_watched_while_unsure CHECK (
        next_look_at IS NOT NULL OR status NOT IN ('requested', 'unknown', 'capturing', 'voiding')
    ),
    CONSTRAINT charges_looks_not_negative CHECK (looks >= 0),
    CONSTRAINT charges_version_positive CHECK (version > 0)
) WITH (fillfactor = 70);
CREATE INDEX charges_of_merchant ON charges (merchant_id, id);
CREATE INDEX charges_next_look ON charges (next_look_at) WHERE next_look_at IS NOT NULL;

CREATE TABLE charge_refunds (
    id             text COLLATE "C" NOT NULL,
    charge_id      text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'requested',
    reason         text COLLATE "C",
    response_code  text COLLATE "C",
    rrn            text COLLATE "C",
    looks          integer NOT NULL DEFAULT 0,
    next_look_at   timestamptz,
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    CONSTRAINT charge_refunds_pkey PRIMARY KEY (id),
    CONSTRAINT charge_refunds_charge_fkey FOREIGN KEY (charge_id) REFERENCES charges (id),
    CONSTRAINT charge_refunds_id_form CHECK (id ~ '^[a-z]{2,8}_[0-9A-Za-z]{16,48}$'),
    CONSTRAINT charge_refunds_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT charge_refunds_status_is_known CHECK (status IN ('requested', 'unknown', 'succeeded', 'refused')),
    CONSTRAINT charge_refunds_watched_while_open CHECK (
        (status IN ('requested', 'unknown')) = (next_look_at IS NOT NULL)
    ),
    CONSTRAINT charge_refunds_looks_not_negative CHECK (looks >= 0)
) WITH (fillfactor = 70);
CREATE INDEX charge_refunds_of_charge ON charge_refunds (charge_id, id);
CREATE INDEX charge_refunds_next_look ON charge_refunds (next_look_at) WHERE next_look_at IS NOT NULL;

-- One row for every message, written before it leaves. An advice is repeated under the same row and number.
CREATE TABLE charge_attempts (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    charge_id      text COLLATE "C" NOT NULL,
    refund_id      text COLLATE "C",
    original_id    bigint,
    operation      text COLLATE "C" NOT NULL,
    terminal_id    text COLLATE "C" NOT NULL,
    stan           integer NOT NULL,
    transmitted_at timestamptz NOT NULL,
    amount_kopecks bigint NOT NULL,
    tries          integer NOT NULL DEFAULT 1,
    status         text COLLATE "C" NOT NULL DEFAULT 'started',
    response_code  text COLLATE "C",
    rrn            text COLLATE "C",
    approval_code  text COLLATE "C",
    answered_at    timestamptz,
    CONSTRAINT charge_attempts_pkey PRIMARY KEY (id),
    CONSTRAINT charge_attempts_charge_fkey FOREIGN KEY (charge_id) REFERENCES charges (id),
    CONSTRAINT charge_attempts_refund_fkey FOREIGN KEY (refund_id) REFERENCES charge_refunds (id),
    CONSTRAINT charge_attempts_original_fkey FOREIGN KEY (original_id) REFERENCES charge_attempts (id),
    CONSTRAINT charge_attempts_number_key UNIQUE (terminal_id, stan, transmitted_at),
    CONSTRAINT charge_attempts_operation_is_known CHECK (
        operation IN ('authorisation', 'purchase', 'capture', 'reversal', 'refund')
    ),
    CONSTRAINT charge_attempts_refund_named CHECK ((operation = 'refund') = (refund_id IS NOT NULL)),
    CONSTRAINT charge_attempts_original_named CHECK (
        (operation IN ('authorisation', 'purchase')) = (original_id IS NULL)
    ),
    CONSTRAINT charge_attempts_stan_in_range CHECK (stan BETWEEN 1 AND 999999),
    CONSTRAINT charge_attempts_amount_positive CHECK (amount_kopecks > 0),
    CONSTRAINT charge_attempts_tries_positive CHECK (tries > 0),
    CONSTRAINT charge_attempts_status_is_known CHECK (status IN ('started', 'unsent', 'silent', 'answered')),
    CONSTRAINT charge_attempts_answer_when_answered CHECK (
        (status = 'answered') = (response_code IS NOT NULL) AND (status = 'answered') = (answered_at IS NOT NULL)
    )
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX charge_attempts_one_request ON charge_attempts (charge_id) WHERE original_id IS NULL;
CREATE INDEX charge_attempts_of_charge ON charge_attempts (charge_id, id);

-- At the end of each transaction the counter of a charge is the sum of its refunds that did not come to nothing.
CREATE FUNCTION charge_refunds_must_agree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_charge text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF (SELECT refund_kopecks FROM charges WHERE id = v_charge) <> (
        SELECT coalesce(sum(amount_kopecks), 0) FROM charge_refunds WHERE charge_id = v_charge AND status <> 'refused'
    ) THEN
        RAISE EXCEPTION 'the refunds of % do not add up to its counter', v_charge
            USING ERRCODE = 'check_violation', CONSTRAINT = 'charge_refunds_agree';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER charge_refunds_agree AFTER INSERT OR UPDATE OF status, amount_kopecks, charge_id
    ON charge_refunds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION charge_refunds_must_agree('charge_id');
CREATE CONSTRAINT TRIGGER charges_refunds_agree AFTER UPDATE OF refund_kopecks ON charges
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION charge_refunds_must_agree('id');

CREATE FUNCTION charges_end_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% has ended as %', OLD.id, OLD.status
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER charges_final BEFORE UPDATE ON charges FOR EACH ROW
    WHEN (OLD.status IN ('voided', 'refused', 'reversed') AND NEW.status <> OLD.status)
    EXECUTE FUNCTION charges_end_once();
CREATE TRIGGER charge_refunds_final BEFORE UPDATE ON charge_refunds FOR EACH ROW
    WHEN (OLD.status IN ('succeeded', 'refused') AND NEW.status <> OLD.status) EXECUTE FUNCTION charges_end_once();

GRANT USAGE ON SEQUENCE charge_stans TO kopeyka_vault;
GRANT SELECT, INSERT, UPDATE ON charges, charge_refunds, charge_attempts TO kopeyka_vault;
