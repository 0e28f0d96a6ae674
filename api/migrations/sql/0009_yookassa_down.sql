DROP TABLE yookassa_webhooks, yookassa_refunds, yookassa_payments, yookassa_tills;
