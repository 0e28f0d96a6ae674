-- Settlement modes ------------------------------------------------------------------------------

-- Constant defaults: no row is rewritten.
ALTER TABLE sbp_merchants
    ADD COLUMN settlement_mode text COLLATE "C" NOT NULL DEFAULT 'collected',
    ADD CONSTRAINT sbp_merchants_settlement_mode_is_known CHECK (settlement_mode IN ('collected', 'direct'));

ALTER TABLE sbp_payments
    ADD COLUMN settlement_mode text COLLATE "C" NOT NULL DEFAULT 'collected',
    ADD CONSTRAINT sbp_payments_settlement_mode_is_known CHECK (settlement_mode IN ('collected', 'direct'));
