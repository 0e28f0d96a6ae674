ALTER TABLE sbp_payments DROP COLUMN settlement_mode;
ALTER TABLE sbp_merchants DROP COLUMN settlement_mode;
