DROP TABLE buyer_payouts;
