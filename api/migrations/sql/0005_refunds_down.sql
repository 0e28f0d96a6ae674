DROP TRIGGER sbp_payments_refunds_agree ON sbp_payments;
DROP TABLE sbp_refund_tries, sbp_refunds;
DROP FUNCTION sbp_refunds_must_agree, sbp_refunds_end_once, sbp_refund_tries_within;
REVOKE UPDATE (kzo) ON sbp_payments FROM kopeyka_app;
ALTER TABLE sbp_payments
    DROP COLUMN next_refund_at, DROP COLUMN refund_kopecks, DROP COLUMN payer_mask, DROP COLUMN member_id;
