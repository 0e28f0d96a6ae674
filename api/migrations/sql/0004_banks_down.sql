DROP TABLE sbp_poll_windows, sbp_banks;
