-- Кошелёк Pay, an emulator of a token service. No key of a payment is kept: each is derived again from the master key
-- of its range, which is in the register of keys. Device tokens are numbers of a private test range, not card numbers.

CREATE TABLE token_ranges (
    id             text COLLATE "C" NOT NULL,
    scheme         text COLLATE "C" NOT NULL,
    first8         text COLLATE "C" NOT NULL,
    digits         smallint NOT NULL DEFAULT 16,
    family         text COLLATE "C" NOT NULL,
    is_test        boolean NOT NULL,
    is_open        boolean NOT NULL DEFAULT true,
    CONSTRAINT token_ranges_pkey PRIMARY KEY (id),
    CONSTRAINT token_ranges_first8_key UNIQUE (first8),
    CONSTRAINT token_ranges_id_form CHECK (id ~ '^[a-z0-9_]{3,32}$'),
    CONSTRAINT token_ranges_scheme_form CHECK (scheme ~ '^[a-z]{2,16}$'),
    -- 9643: for the national standards body of Russia to assign; no scheme issues cards there.
    CONSTRAINT token_ranges_first8_is_private CHECK (first8 ~ '^9643[0-9]{4}$'),
    CONSTRAINT token_ranges_digits_are_sixteen CHECK (digits = 16),
    CONSTRAINT token_ranges_family_is_known CHECK (family IN ('tdes', 'aes')),
    CONSTRAINT token_ranges_is_test CHECK (is_test)
);
CREATE UNIQUE INDEX token_ranges_one_open ON token_ranges (scheme) WHERE is_open;

INSERT INTO token_ranges (id, scheme, first8, family, is_test) VALUES
    ('mir_test', 'mir', '96430001', 'tdes', true),
    ('visa_test', 'visa', '96430002', 'tdes', true),
    ('mastercard_test', 'mastercard', '96430003', 'tdes', true),
    ('unionpay_test', 'unionpay', '96430004', 'aes', true);

-- Who may ask for tokens: a wallet of a merchant.
CREATE TABLE token_requestors (
    trid               text COLLATE "C" NOT NULL,
    merchant_id        text COLLATE "C" NOT NULL,
    name               text NOT NULL,
    channels           text[] COLLATE "C" NOT NULL,
    amount_kopecks_max bigint NOT NULL,
    tokens_max         integer NOT NULL,
    public_jwk         jsonb,
    created_at         timestamptz NOT NULL,
    CONSTRAINT token_requestors_pkey PRIMARY KEY (trid),
    CONSTRAINT token_requestors_name_key UNIQUE (merchant_id, name),
    CONSTRAINT token_requestors_trid_form CHECK (trid ~ '^643[0-9]{8}$'),
    CONSTRAINT token_requestors_merchant_form CHECK (merchant_id ~ '^[a-z]{3}_[0-9A-Za-z]{1,40}$'),
    CONSTRAINT token_requestors_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT token_requestors_channels_are_known CHECK (
        channels <@ ARRAY['contactless', 'ecom'] AND cardinality(channels) > 0
    ),
    CONSTRAINT token_requestors_amount_in_range CHECK (amount_kopecks_max BETWEEN 1 AND 100000000),
    CONSTRAINT token_requestors_tokens_in_range CHECK (tokens_max BETWEEN 1 AND 100),
    CONSTRAINT token_requestors_key_is_public CHECK (
        jsonb_typeof(public_jwk) = 'object' AND NOT public_jwk ? 'd'
    )
);

-- A buyer's device, known by its key. The attestation is kept as it was given.
CREATE TABLE token_devices (
    id              text COLLATE "C" NOT NULL,
    trid            text COLLATE "C" NOT NULL,
    installation_id text COLLATE "C" NOT NULL,
    thumbprint      text COLLATE "C" NOT NULL,
    public_jwk      jsonb NOT NULL,
    attestation     text[] COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'bound',
    created_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    CONSTRAINT token_devices_pkey PRIMARY KEY (id),
    CONSTRAINT token_devices_trid_fkey FOREIGN KEY (trid) REFERENCES token_requestors (trid),
    CONSTRAINT token_devices_thumbprint_key UNIQUE (thumbprint),
    CONSTRAINT token_devices_id_form CHECK (id ~ '^dvc_[0-9A-Za-z]{25}$'),
    CONSTRAINT token_devices_installation_is_printable CHECK (installation_id ~ '^[!-~]{1,64}$'),
    CONSTRAINT token_devices_thumbprint_form CHECK (thumbprint ~ '^[0-9A-Za-z_-]{43}$'),
    CONSTRAINT token_devices_key_is_public CHECK (jsonb_typeof(public_jwk) = 'object' AND NOT public_jwk ? 'd'),
    CONSTRAINT token_devices_attestation_is_short CHECK (cardinality(attestation) <= 8),
    CONSTRAINT token_devices_status_is_known CHECK (status IN ('bound', 'lost', 'wiped'))
);
CREATE UNIQUE INDEX token_devices_one_of_installation ON token_devices (trid, installation_id) WHERE status <> 'wiped';

CREATE TABLE device_tokens (
    id                 text COLLATE "C" NOT NULL,
    trid               text COLLATE "C" NOT NULL,
    device_id          text COLLATE "C" NOT NULL,
    range_id           text COLLATE "C" NOT NULL,
    merchant_id        text COLLATE "C" NOT NULL,
    card_token         text COLLATE "C" NOT NULL,
    fingerprint_id     text COLLATE "C" NOT NULL,
    par                text COLLATE "C" NOT NULL,
    token_number       text COLLATE "C",
    sequence_number    text COLLATE "C" NOT NULL DEFAULT '01',
    expires            text COLLATE "C" NOT NULL,
    card_mask          text COLLATE "C" NOT NULL,
    card_expires       text COLLATE "C" NOT NULL,
    key_number         integer,
    status             text COLLATE "C" NOT NULL,
    decision           text COLLATE "C" NOT NULL,
    findings           jsonb NOT NULL,
    assurance          text COLLATE "C" NOT NULL,
    channels           text[] COLLATE "C" NOT NULL,
    mccs               text[] COLLATE "C",
    amount_kopecks_max bigint NOT NULL,
    wrong_cryptograms  smallint NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    changed_at         timestamptz NOT NULL,
    version            integer NOT NULL DEFAULT 1,
    CONSTRAINT device_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT device_tokens_trid_fkey FOREIGN KEY (trid) REFERENCES token_requestors (trid),
    CONSTRAINT device_tokens_device_fkey FOREIGN KEY (device_id) REFERENCES token_devices (id),
    CONSTRAINT device_tokens_range_fkey FOREIGN KEY (range_id) REFERENCES token_ranges (id),
    CONSTRAINT device_tokens_key_fkey FOREIGN KEY (key_number) REFERENCES keys (number),
    CONSTRAINT device_tokens_number_key UNIQUE (token_number),
    CONSTRAINT device_tokens_id_form CHECK (id ~ '^dtk_[0-9A-Za-z]{25}$'),
    CONSTRAINT device_tokens_number_is_private CHECK (token_number ~ '^9643[0-9]{12}$'),
    CONSTRAINT device_tokens_declined_has_no_number CHECK (
        num_nulls(token_number, key_number) = CASE status WHEN 'declined' THEN 2 ELSE 0 END
    ),
    CONSTRAINT device_tokens_par_form CHECK (par ~ '^QKOP[0-9A-Z]{25}$'),
    CONSTRAINT device_tokens_sequence_form CHECK (sequence_number ~ '^[0-9]{2}$'),
    CONSTRAINT device_tokens_expires_are_months CHECK (
        expires ~ '^20[0-9]{2}-(0[1-9]|1[0-2])$' AND card_expires ~ '^20[0-9]{2}-(0[1-9]|1[0-2])$'
    ),
    CONSTRAINT device_tokens_mask_hides CHECK (card_mask ~ '^[0-9]{6}[*]{3,9}[0-9]{4}$'),
    CONSTRAINT device_tokens_status_is_known CHECK (
        status IN ('awaiting_code', 'approved', 'active', 'declined', 'deleted')
    ),
    CONSTRAINT device_tokens_decision_is_known CHECK (decision IN ('green', 'yellow', 'red')),
    CONSTRAINT device_tokens_red_is_declined CHECK ((decision = 'red') = (status = 'declined')),
    CONSTRAINT device_tokens_green_awaits_nothing CHECK (status <> 'awaiting_code' OR decision = 'yellow'),
    CONSTRAINT device_tokens_findings_are_a_list CHECK (jsonb_typeof(findings) = 'array'),
    CONSTRAINT device_tokens_assurance_is_known CHECK (assurance IN ('none', 'risk', 'code')),
    CONSTRAINT device_tokens_channels_are_known CHECK (
        channels <@ ARRAY['contactless', 'ecom'] AND cardinality(channels) > 0
    ),
    CONSTRAINT device_tokens_mccs_are_some CHECK (cardinality(mccs) BETWEEN 1 AND 50),
    CONSTRAINT device_tokens_amount_in_range CHECK (amount_kopecks_max BETWEEN 1 AND 100000000),
    CONSTRAINT device_tokens_wrong_not_negative CHECK (wrong_cryptograms >= 0),
    CONSTRAINT device_tokens_version_positive CHECK (version > 0)
) WITH (fillfactor = 70);
-- The same card on the same device of the same requestor is one token.
CREATE UNIQUE INDEX device_tokens_one_of_card ON device_tokens (trid, device_id, fingerprint_id)
    WHERE status NOT IN ('declined', 'deleted');
CREATE INDEX device_tokens_of_device ON device_tokens (device_id);
CREATE INDEX device_tokens_of_card ON device_tokens (merchant_id, fingerprint_id, created_at);
CREATE INDEX device_tokens_of_merchant ON device_tokens (merchant_id, id);

CREATE FUNCTION device_tokens_move_as_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Another card may come in the place of the one that was re-issued; all else of a token stands.
    IF (NEW.trid, NEW.device_id, NEW.range_id, NEW.merchant_id, NEW.token_number, NEW.par, NEW.decision, NEW.key_number)
        IS DISTINCT FROM
       (OLD.trid, OLD.device_id, OLD.range_id, OLD.merchant_id, OLD.token_number, OLD.par, OLD.decision, OLD.key_number)
       OR (NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
            ('awaiting_code', 'approved'), ('awaiting_code', 'deleted'),
            ('approved', 'active'), ('approved', 'deleted'), ('active', 'deleted')))
    THEN
        RAISE EXCEPTION 'a device token does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'device_tokens_move_as_allowed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER device_tokens_move_as_allowed BEFORE UPDATE ON device_tokens
    FOR EACH ROW EXECUTE FUNCTION device_tokens_move_as_allowed();

-- Who holds a token back. Each party lifts only its own; the token works again when the last has lifted.
CREATE TABLE device_token_suspensions (
    device_token_id text COLLATE "C" NOT NULL,
    number          integer NOT NULL,
    suspender       text COLLATE "C" NOT NULL,
    reason          text NOT NULL,
    suspended_at    timestamptz NOT NULL,
    lifted_at       timestamptz,
    CONSTRAINT device_token_suspensions_pkey PRIMARY KEY (device_token_id, number),
    CONSTRAINT device_token_suspensions_token_fkey FOREIGN KEY (device_token_id) REFERENCES device_tokens (id),
    CONSTRAINT device_token_suspensions_number_positive CHECK (number > 0),
    CONSTRAINT device_token_suspensions_suspender_is_known CHECK (
        suspender IN ('buyer', 'requestor', 'issuer', 'wallet', 'risk')
    ),
    CONSTRAINT device_token_suspensions_reason_length CHECK (length(reason) BETWEEN 1 AND 200),
    CONSTRAINT device_token_suspensions_lifted_after CHECK (lifted_at >= suspended_at)
);
CREATE UNIQUE INDEX device_token_suspensions_one_a_party ON device_token_suspensions (device_token_id, suspender)
    WHERE lifted_at IS NULL;

-- Codes sent to buyers, as keyed digests.
CREATE TABLE device_token_codes (
    device_token_id text COLLATE "C" NOT NULL,
    number          integer NOT NULL,
    digest          bytea NOT NULL,
    phone_mask      text COLLATE "C" NOT NULL,
    tries           smallint NOT NULL DEFAULT 0,
    status          text COLLATE "C" NOT NULL DEFAULT 'open',
    made_at         timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    sent_at         timestamptz,
    CONSTRAINT device_token_codes_pkey PRIMARY KEY (device_token_id, number),
    CONSTRAINT device_token_codes_token_fkey FOREIGN KEY (device_token_id) REFERENCES device_tokens (id),
    CONSTRAINT device_token_codes_number_in_range CHECK (number BETWEEN 1 AND 5),
    CONSTRAINT device_token_codes_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT device_token_codes_phone_is_masked CHECK (phone_mask ~ '^\+7[*]{6}[0-9]{4}$'),
    CONSTRAINT device_token_codes_tries_in_range CHECK (tries BETWEEN 0 AND 3),
    CONSTRAINT device_token_codes_status_is_known CHECK (status IN ('open', 'entered', 'over')),
    CONSTRAINT device_token_codes_open_has_tries CHECK (status <> 'open' OR tries < 3),
    CONSTRAINT device_token_codes_end_after CHECK (expires_at > made_at)
);
CREATE UNIQUE INDEX device_token_codes_one_open ON device_token_codes (device_token_id) WHERE status = 'open';

-- What was delivered: ten keys at a time, each for one counter. The keys themselves are nowhere.
CREATE TABLE device_key_batches (
    device_token_id text COLLATE "C" NOT NULL,
    number          integer NOT NULL,
    request_id      text COLLATE "C" NOT NULL,
    first_atc       integer NOT NULL,
    last_atc        integer NOT NULL,
    issued_at       timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    CONSTRAINT device_key_batches_pkey PRIMARY KEY (device_token_id, number),
    CONSTRAINT device_key_batches_token_fkey FOREIGN KEY (device_token_id) REFERENCES device_tokens (id),
    CONSTRAINT device_key_batches_request_key UNIQUE (device_token_id, request_id),
    CONSTRAINT device_key_batches_request_form CHECK (request_id ~ '^[0-9A-Za-z_-]{16,64}$'),
    CONSTRAINT device_key_batches_number_positive CHECK (number > 0),
    CONSTRAINT device_key_batches_counters_in_range CHECK (
        first_atc BETWEEN 1 AND 65535 AND last_atc BETWEEN first_atc AND least(first_atc + 9, 65535)
    ),
    CONSTRAINT device_key_batches_end_after CHECK (expires_at > issued_at)
);

CREATE TABLE device_keys (
    device_token_id text COLLATE "C" NOT NULL,
    atc             integer NOT NULL,
    batch_number    integer NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'issued',
    changed_at      timestamptz NOT NULL,
    CONSTRAINT device_keys_pkey PRIMARY KEY (device_token_id, atc),
    CONSTRAINT device_keys_batch_fkey FOREIGN KEY (device_token_id, batch_number) REFERENCES device_key_batches,
    CONSTRAINT device_keys_atc_in_range CHECK (atc BETWEEN 1 AND 65535),
    CONSTRAINT device_keys_status_is_known CHECK (status IN ('issued', 'used', 'burnt'))
) WITH (fillfactor = 70);

CREATE FUNCTION device_keys_move_as_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.device_token_id, NEW.atc, NEW.batch_number)
           IS DISTINCT FROM (OLD.device_token_id, OLD.atc, OLD.batch_number)
       OR (OLD.status, NEW.status) NOT IN (('issued', 'used'), ('issued', 'burnt'), ('used', 'burnt'))
    THEN
        RAISE EXCEPTION 'a device key does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'device_keys_move_as_allowed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER device_keys_move_as_allowed BEFORE UPDATE ON device_keys
    FOR EACH ROW EXECUTE FUNCTION device_keys_move_as_allowed();

-- A payment by a device that was let through. One counter, one payment: whoever comes second finds the row.
CREATE TABLE device_authorisations (
    id              text COLLATE "C" NOT NULL,
    device_token_id text COLLATE "C" NOT NULL,
    atc             integer NOT NULL,
    merchant_id     text COLLATE "C" NOT NULL,
    amount_kopecks  bigint NOT NULL,
    channel         text COLLATE "C" NOT NULL,
    mcc             text COLLATE "C" NOT NULL,
    digest          bytea NOT NULL,
    cryptogram      bytea NOT NULL,
    chip            bytea NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'accepted',
    response_code   text COLLATE "C",
    issuer_answer   bytea,
    accepted_at     timestamptz NOT NULL,
    ended_at        timestamptz,
    CONSTRAINT device_authorisations_pkey PRIMARY KEY (id),
    CONSTRAINT device_authorisations_key_fkey FOREIGN KEY (device_token_id, atc) REFERENCES device_keys,
    CONSTRAINT device_authorisations_atc_key UNIQUE (device_token_id, atc),
    CONSTRAINT device_authorisations_id_form CHECK (id ~ '^[a-z]{2,8}_[0-9A-Za-z]{16,48}$'),
    CONSTRAINT device_authorisations_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT device_authorisations_channel_is_known CHECK (channel IN ('contactless', 'ecom')),
    CONSTRAINT device_authorisations_mcc_form CHECK (mcc ~ '^[0-9]{4}$'),
    CONSTRAINT device_authorisations_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT device_authorisations_cryptogram_length CHECK (octet_length(cryptogram) = 8),
    CONSTRAINT device_authorisations_chip_length CHECK (octet_length(chip) BETWEEN 1 AND 255),
    CONSTRAINT device_authorisations_status_is_known CHECK (status IN ('accepted', 'approved', 'declined', 'unknown')),
    CONSTRAINT device_authorisations_answered_when_decided CHECK (
        num_nulls(response_code, issuer_answer, ended_at)
        = CASE WHEN status IN ('approved', 'declined') THEN 0 ELSE 3 END
    ),
    CONSTRAINT device_authorisations_response_form CHECK (response_code ~ '^[0-9A-Z]{2}$'),
    CONSTRAINT device_authorisations_answer_length CHECK (octet_length(issuer_answer) = 8)
) WITH (fillfactor = 70);
CREATE INDEX device_authorisations_open ON device_authorisations (accepted_at) WHERE ended_at IS NULL;

-- A payment that was asked about before it came: whoever asked was told that there is none, so it must never come.
CREATE TABLE device_payment_denials (
    payment_id  text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    denied_at   timestamptz NOT NULL,
    CONSTRAINT device_payment_denials_pkey PRIMARY KEY (payment_id, merchant_id),
    CONSTRAINT device_payment_denials_payment_form CHECK (payment_id ~ '^[a-z]{2,8}_[0-9A-Za-z]{16,48}$'),
    CONSTRAINT device_payment_denials_merchant_form CHECK (merchant_id ~ '^[a-z]{3}_[0-9A-Za-z]{1,40}$')
);

GRANT SELECT ON token_ranges TO kopeyka_vault;
GRANT UPDATE (is_open) ON token_ranges TO kopeyka_vault;
GRANT SELECT, INSERT ON token_requestors TO kopeyka_vault;
GRANT SELECT, INSERT ON token_devices, device_tokens, device_token_suspensions, device_token_codes,
    device_key_batches, device_keys, device_authorisations, device_payment_denials TO kopeyka_vault;
GRANT UPDATE (status, changed_at) ON token_devices TO kopeyka_vault;
GRANT UPDATE (
    status, assurance, card_token, fingerprint_id, card_mask, card_expires, wrong_cryptograms, changed_at, version
) ON device_tokens TO kopeyka_vault;
GRANT UPDATE (lifted_at) ON device_token_suspensions TO kopeyka_vault;
GRANT UPDATE (tries, status, sent_at) ON device_token_codes TO kopeyka_vault;
GRANT UPDATE (status, changed_at) ON device_keys TO kopeyka_vault;
GRANT UPDATE (status, response_code, issuer_answer, ended_at) ON device_authorisations TO kopeyka_vault;
