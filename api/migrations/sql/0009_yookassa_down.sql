DROP TABLE yookassa_webhooks, yookassa_refunds, yookassa_payments, yookassa_pos_links, yookassa_tills;
