DROP TABLE charge_attempts;
DROP TABLE charge_refunds;
DROP TABLE charges;
DROP SEQUENCE charge_stans;
