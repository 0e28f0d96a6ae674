ALTER TABLE sbp_payments
    DROP CONSTRAINT sbp_payments_of_an_attempt,
    DROP CONSTRAINT sbp_payments_of_one_offer,
    DROP COLUMN unmatched_payment_id,
    DROP COLUMN activation_id,
    ALTER COLUMN attempt_id SET NOT NULL,
    ALTER COLUMN qr_id SET NOT NULL;
DROP TABLE binding_charges, account_bindings, sbp_unmatched_payments, sbp_stickers, cash_link_activations, cash_links, cash_link_reservations;
