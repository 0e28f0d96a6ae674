DROP TABLE charge_attempts;
DROP TABLE charge_refunds;
DROP TABLE charges;
DROP FUNCTION charge_refunds_must_agree, charges_end_once;
DROP SEQUENCE charge_stans;
