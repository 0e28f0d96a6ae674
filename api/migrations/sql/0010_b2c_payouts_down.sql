DROP TABLE sbp_late_watches, buyer_payouts;
