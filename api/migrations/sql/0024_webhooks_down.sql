DROP INDEX deliveries_of_webhooks;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_replayed_within_attempts;
ALTER TABLE deliveries DROP COLUMN replayed_after;
DROP TABLE delivery_tries, webhook_secrets, webhooks;
