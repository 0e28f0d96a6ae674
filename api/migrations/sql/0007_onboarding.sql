-- Legal entities --------------------------------------------------------------------------------

ALTER TABLE merchants
    ADD COLUMN ogrn text COLLATE "C",
    ADD CONSTRAINT merchants_ogrn_is_digits CHECK (ogrn ~ '^([0-9]{13}|[0-9]{15})$');

-- Registrations with NSPK, one for each bank a merchant takes payments through --------------------

CREATE TABLE sbp_registrations (
    id               text COLLATE "C" NOT NULL,
    merchant_id      text COLLATE "C" NOT NULL REFERENCES merchants,
    bik              text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL DEFAULT 'data_missing',
    ogrn             text COLLATE "C",
    bank_account     text COLLATE "C",
    mcc              text COLLATE "C",
    tariff_group     text COLLATE "C",
    settlement_mode  text COLLATE "C" NOT NULL DEFAULT 'collected',
    contact_name     text,
    contact_phone    text COLLATE "C",
    contact_email    text,
    nspk_merchant_id text COLLATE "C",
    member_id        text COLLATE "C",
    learnt_by        text COLLATE "C",
    reason           text,
    look_ups         integer NOT NULL DEFAULT 0,
    next_look_up_at  timestamptz,
    created_at       timestamptz NOT NULL,
    sent_at          timestamptz,
    registered_at    timestamptz,
    closed_at        timestamptz,
    version          integer NOT NULL DEFAULT 1,
    CONSTRAINT sbp_registrations_pkey PRIMARY KEY (id),
    CONSTRAINT sbp_registrations_merchant_key UNIQUE (id, merchant_id),
    CONSTRAINT sbp_registrations_id_is_shown CHECK (id ~ '^sbr_[0-9a-z]{26}$'),
    CONSTRAINT sbp_registrations_bik_is_digits CHECK (bik ~ '^[0-9]{9}$'),
    CONSTRAINT sbp_registrations_status_is_known CHECK (
        status IN ('data_missing', 'ready', 'sent_to_bank', 'refused', 'registered', 'suspended', 'closed')
    ),
    CONSTRAINT sbp_registrations_ogrn_is_digits CHECK (ogrn ~ '^([0-9]{13}|[0-9]{15})$'),
    CONSTRAINT sbp_registrations_bank_account_is_digits CHECK (bank_account ~ '^[0-9]{20}$'),
    CONSTRAINT sbp_registrations_mcc_is_digits CHECK (mcc ~ '^[0-9]{4}$'),
    CONSTRAINT sbp_registrations_tariff_group_form CHECK (tariff_group ~ '^[a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT sbp_registrations_settlement_mode_is_known CHECK (settlement_mode IN ('collected', 'direct')),
    CONSTRAINT sbp_registrations_contact_length CHECK (
        length(contact_name) BETWEEN 1 AND 100 AND length(contact_email) BETWEEN 3 AND 254
    ),
    CONSTRAINT sbp_registrations_contact_phone_form CHECK (contact_phone ~ '^\+7[0-9]{10}$'),
    CONSTRAINT sbp_registrations_nspk_id_form CHECK (nspk_merchant_id ~ '^M[A-Z][0-9]{10}$'),
    CONSTRAINT sbp_registrations_member_is_digits CHECK (member_id ~ '^[0-9]{12}$'),
    CONSTRAINT sbp_registrations_learnt_by_is_known CHECK (learnt_by IN ('entered', 'looked_up', 'sandbox')),
    CONSTRAINT sbp_registrations_whole_when_sent CHECK (
        status NOT IN ('ready', 'sent_to_bank')
        OR num_nulls(ogrn, bank_account, mcc, tariff_group, contact_name, contact_phone, contact_email) = 0
    ),
    CONSTRAINT sbp_registrations_sent_at_when_sent CHECK (status <> 'sent_to_bank' OR sent_at IS NOT NULL),
    CONSTRAINT sbp_registrations_reason_when_refused CHECK (status <> 'refused' OR reason IS NOT NULL),
    -- All that a bank tells, or nothing of it; nothing before it registered, and an account to be paid to after.
    CONSTRAINT sbp_registrations_numbers_together CHECK (
        num_nulls(nspk_merchant_id, member_id, learnt_by, registered_at) IN (0, 4)
    ),
    CONSTRAINT sbp_registrations_numbers_when_registered CHECK (
        status = 'closed' OR (status IN ('registered', 'suspended')) = (nspk_merchant_id IS NOT NULL)
    ),
    CONSTRAINT sbp_registrations_account_when_registered CHECK (nspk_merchant_id IS NULL OR bank_account IS NOT NULL),
    CONSTRAINT sbp_registrations_closed_at_when_closed CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT sbp_registrations_looked_up_while_sent CHECK (
        (status = 'sent_to_bank') = (next_look_up_at IS NOT NULL)
    ),
    CONSTRAINT sbp_registrations_look_ups_not_negative CHECK (look_ups >= 0),
    CONSTRAINT sbp_registrations_version_positive CHECK (version > 0)
);
CREATE UNIQUE INDEX sbp_registrations_one_open ON sbp_registrations (merchant_id, bik) WHERE status <> 'closed';
CREATE UNIQUE INDEX sbp_registrations_nspk_key ON sbp_registrations (nspk_merchant_id) WHERE status <> 'closed';
CREATE INDEX sbp_registrations_of_merchant ON sbp_registrations (merchant_id, id);
CREATE INDEX sbp_registrations_next_look_up ON sbp_registrations (next_look_up_at) WHERE next_look_up_at IS NOT NULL;

-- Payments and refunds go by what the bank registered: another account, mode or number is another registration.
CREATE FUNCTION sbp_registration_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'closed' OR (OLD.nspk_merchant_id IS NOT NULL AND (
        OLD.merchant_id, OLD.bik, OLD.bank_account, OLD.settlement_mode, OLD.nspk_merchant_id, OLD.member_id,
        OLD.tariff_group, OLD.mcc, OLD.registered_at
    ) IS DISTINCT FROM (
        NEW.merchant_id, NEW.bik, NEW.bank_account, NEW.settlement_mode, NEW.nspk_merchant_id, NEW.member_id,
        NEW.tariff_group, NEW.mcc, NEW.registered_at
    )) THEN
        RAISE EXCEPTION 'registration % is fixed: make another', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'sbp_registrations_fixed', TABLE = 'sbp_registrations';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sbp_registrations_fixed BEFORE UPDATE ON sbp_registrations
    FOR EACH ROW EXECUTE FUNCTION sbp_registration_is_fixed();

-- Of merchants taken in before, what is known. The id follows the merchant's, so that codes asked for before
-- find the registration they were asked for by.
INSERT INTO sbp_registrations (id, merchant_id, bik, status, bank_account, tariff_group, nspk_merchant_id, member_id,
                               learnt_by, created_at, registered_at)
SELECT 'sbr_' || substr(s.merchant_id, 5), s.merchant_id, m.bank_account_bik, 'registered', s.bank_account,
       m.tariff_group, s.nspk_merchant_id, s.member_id, 'entered', s.created_at, s.created_at
  FROM sbp_merchants AS s JOIN merchants AS m ON m.id = s.merchant_id;

-- sbp_merchants stays one row for each merchant: the registration it takes payments by now.
-- Constant defaults: no row is rewritten but to be given its registration.
ALTER TABLE sbp_merchants
    ADD COLUMN settlement_mode text COLLATE "C" NOT NULL DEFAULT 'collected',
    ADD COLUMN registration_id text COLLATE "C",
    ADD COLUMN is_live boolean NOT NULL DEFAULT true,
    ADD CONSTRAINT sbp_merchants_settlement_mode_is_known CHECK (settlement_mode IN ('collected', 'direct')),
    ADD CONSTRAINT sbp_merchants_registration_fkey FOREIGN KEY (registration_id, merchant_id)
        REFERENCES sbp_registrations (id, merchant_id);
UPDATE sbp_merchants SET registration_id = 'sbr_' || substr(merchant_id, 5);

ALTER TABLE qr_codes
    ADD COLUMN registration_id text COLLATE "C",
    ADD CONSTRAINT qr_codes_registration_id_fkey FOREIGN KEY (registration_id) REFERENCES sbp_registrations;

-- A sticker and the money that waits for its order keep to the registration of their link, whatever is used now.
ALTER TABLE sbp_stickers
    ADD COLUMN registration_id text COLLATE "C",
    ADD CONSTRAINT sbp_stickers_registration_id_fkey FOREIGN KEY (registration_id) REFERENCES sbp_registrations;
ALTER TABLE sbp_unmatched_payments
    ADD COLUMN registration_id text COLLATE "C",
    ADD CONSTRAINT sbp_unmatched_payments_registration_id_fkey FOREIGN KEY (registration_id)
        REFERENCES sbp_registrations;

ALTER TABLE sbp_payments
    ADD COLUMN settlement_mode text COLLATE "C" NOT NULL DEFAULT 'collected',
    ADD COLUMN registration_id text COLLATE "C",
    ADD COLUMN bank_fee_kopecks bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT sbp_payments_registration_id_fkey FOREIGN KEY (registration_id) REFERENCES sbp_registrations,
    ADD CONSTRAINT sbp_payments_settlement_mode_is_known CHECK (settlement_mode IN ('collected', 'direct')),
    ADD CONSTRAINT sbp_payments_bank_fee_within_amount CHECK (bank_fee_kopecks BETWEEN 0 AND amount_kopecks),
    ADD CONSTRAINT sbp_payments_direct_costs_us_nothing CHECK (settlement_mode = 'collected' OR bank_fee_kopecks = 0);

-- Tariffs ---------------------------------------------------------------------------------------

-- What a merchant pays us is in tariffs. Which of its rows nobody has checked against the primary document is
-- said beside them; the owner fills the new column, and no rule changes.
ALTER TABLE tariffs ADD COLUMN is_confirmed boolean NOT NULL DEFAULT true;
ALTER TABLE tariffs DISABLE TRIGGER tariffs_append_only;
UPDATE tariffs SET is_confirmed = false WHERE tariff_group IN ('utilities', 'standard') AND valid_from_on = '2023-05-01';
ALTER TABLE tariffs ENABLE TRIGGER tariffs_append_only;

-- What a bank charges: us for money that we collect, or the merchant itself.
CREATE TABLE bank_tariffs (
    member_id     text COLLATE "C" NOT NULL,
    tariff_group  text COLLATE "C" NOT NULL,
    rail          text COLLATE "C" NOT NULL,
    valid_from_on date NOT NULL,
    basis_points  integer NOT NULL,
    cap_kopecks   bigint,
    rounding      text COLLATE "C" NOT NULL,
    is_withheld   boolean NOT NULL,
    is_confirmed  boolean NOT NULL,
    source        text NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT bank_tariffs_pkey PRIMARY KEY (member_id, tariff_group, rail, valid_from_on),
    CONSTRAINT bank_tariffs_member_is_digits CHECK (member_id ~ '^[0-9]{12}$'),
    CONSTRAINT bank_tariffs_tariff_group_form CHECK (tariff_group ~ '^[a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT bank_tariffs_basis_points_in_range CHECK (basis_points BETWEEN 0 AND 10000),
    CONSTRAINT bank_tariffs_cap_not_negative CHECK (cap_kopecks >= 0),
    CONSTRAINT bank_tariffs_rounding_is_known CHECK (rounding IN ('down', 'half_up', 'up')),
    CONSTRAINT bank_tariffs_source_length CHECK (length(source) BETWEEN 1 AND 300)
);
CREATE TRIGGER bank_tariffs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_tariffs
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- Which group of tariffs a merchant category code (MCC) belongs to: the narrowest range that holds it.
CREATE TABLE mcc_groups (
    first_mcc     text COLLATE "C" NOT NULL,
    last_mcc      text COLLATE "C" NOT NULL,
    valid_from_on date NOT NULL,
    tariff_group  text COLLATE "C" NOT NULL,
    is_confirmed  boolean NOT NULL,
    source        text NOT NULL,
    CONSTRAINT mcc_groups_pkey PRIMARY KEY (first_mcc, last_mcc, valid_from_on),
    CONSTRAINT mcc_groups_are_digits CHECK (first_mcc ~ '^[0-9]{4}$' AND last_mcc ~ '^[0-9]{4}$'),
    CONSTRAINT mcc_groups_in_order CHECK (first_mcc <= last_mcc),
    CONSTRAINT mcc_groups_tariff_group_form CHECK (tariff_group ~ '^[a-z][a-z0-9_]{0,31}$')
);
CREATE TRIGGER mcc_groups_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mcc_groups
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- The groups are the Bank of Russia's; which codes are in them is not in the public text, so no row is confirmed.
INSERT INTO mcc_groups (first_mcc, last_mcc, valid_from_on, tariff_group, is_confirmed, source)
SELECT first_mcc, last_mcc, '2023-05-01', tariff_group, false,
       'Bank of Russia, SBP tariffs since 1 May 2023: ' || says || '; the code is our reading, ask the bank'
  FROM (VALUES
    ('0000', '9999', 'standard',   'everything else'),
    ('9211', '9399', 'government', 'government payments'),
    ('4900', '4900', 'utilities',  'housing and utilities'),
    ('4111', '4112', 'everyday',   'passenger transport'),
    ('4131', '4131', 'everyday',   'passenger transport'),
    ('5411', '5411', 'everyday',   'everyday goods'),
    ('5422', '5422', 'everyday',   'everyday goods'),
    ('5441', '5441', 'everyday',   'everyday goods'),
    ('5451', '5451', 'everyday',   'everyday goods'),
    ('5462', '5462', 'everyday',   'everyday goods'),
    ('5499', '5499', 'everyday',   'everyday goods'),
    ('5122', '5122', 'everyday',   'pharmacies'),
    ('5912', '5912', 'everyday',   'pharmacies'),
    ('8011', '8099', 'everyday',   'medicine'),
    ('8211', '8299', 'everyday',   'education'),
    ('8398', '8398', 'everyday',   'charity')
  ) AS codes (first_mcc, last_mcc, tariff_group, says);

-- Who may do what -------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE ON sbp_registrations TO kopeyka_app;
GRANT UPDATE (nspk_merchant_id, member_id, bank_account, settlement_mode, registration_id, is_live)
    ON sbp_merchants TO kopeyka_app;
GRANT SELECT, INSERT ON bank_tariffs TO kopeyka_app;
GRANT SELECT ON mcc_groups TO kopeyka_app;
