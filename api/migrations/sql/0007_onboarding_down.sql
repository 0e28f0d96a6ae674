REVOKE UPDATE (nspk_merchant_id, member_id, bank_account, settlement_mode, registration_id, is_live)
    ON sbp_merchants FROM kopeyka_app;
DROP TABLE mcc_groups, bank_tariffs;
ALTER TABLE tariffs DROP COLUMN is_confirmed;
ALTER TABLE sbp_payments DROP COLUMN settlement_mode, DROP COLUMN registration_id, DROP COLUMN bank_fee_kopecks;
ALTER TABLE qr_codes DROP COLUMN registration_id;
ALTER TABLE sbp_unmatched_payments DROP COLUMN registration_id;
ALTER TABLE sbp_stickers DROP COLUMN registration_id;
ALTER TABLE sbp_merchants DROP COLUMN settlement_mode, DROP COLUMN registration_id, DROP COLUMN is_live;
DROP TABLE sbp_registrations;
DROP FUNCTION sbp_registration_is_fixed();
ALTER TABLE merchants DROP COLUMN ogrn;
