DROP TABLE payouts, payout_runs, tariffs, sbp_parked_notifications, sbp_payments, qr_codes, sbp_merchants,
    attempts, orders, terminals, stores, merchants, deliveries, relay_positions, events;
DROP FUNCTION publish_events;
