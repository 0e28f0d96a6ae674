DROP TABLE sbp_banks;
