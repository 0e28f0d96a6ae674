-- Webhooks: merchants' own addresses that are told of events, their secrets, and a log of every try.

CREATE TABLE webhooks (
    id                text COLLATE "C" NOT NULL,
    merchant_id       text COLLATE "C",
    url               text COLLATE "C" NOT NULL,
    event_types       text[] COLLATE "C" NOT NULL,
    description       text COLLATE "C",
    status            text COLLATE "C" NOT NULL DEFAULT 'active',
    suspension_reason text COLLATE "C",
    failing_since     timestamptz,
    created_at        timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    CONSTRAINT webhooks_pkey PRIMARY KEY (id),
    CONSTRAINT webhooks_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT webhooks_id_is_shown CHECK (id ~ '^whk_[0-9a-z]{26}$'),
    CONSTRAINT webhooks_url_is_http CHECK (url ~ '^https?://' AND length(url) <= 2048),
    CONSTRAINT webhooks_event_types_named CHECK (cardinality(event_types) BETWEEN 1 AND 100),
    CONSTRAINT webhooks_description_length CHECK (length(description) BETWEEN 1 AND 200),
    CONSTRAINT webhooks_status_is_known CHECK (status IN ('active', 'suspended', 'removed')),
    CONSTRAINT webhooks_suspended_for_a_reason CHECK (
        (status = 'suspended') = (suspension_reason IS NOT NULL)
        AND suspension_reason IN ('asked', 'failing', 'gone')
    )
);
CREATE INDEX webhooks_of_merchant ON webhooks (merchant_id, id) WHERE status <> 'removed';

-- A secret is made of the house's key and this salt, so that whoever reads the table signs nothing.
CREATE TABLE webhook_secrets (
    webhook_id text COLLATE "C" NOT NULL,
    number     integer NOT NULL,
    salt       bytea NOT NULL,
    key_mark   bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT webhook_secrets_pkey PRIMARY KEY (webhook_id, number),
    CONSTRAINT webhook_secrets_webhook_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks,
    CONSTRAINT webhook_secrets_number_positive CHECK (number > 0),
    CONSTRAINT webhook_secrets_salt_length CHECK (octet_length(salt) = 32),
    CONSTRAINT webhook_secrets_mark_length CHECK (octet_length(key_mark) = 8),
    CONSTRAINT webhook_secrets_ends_after_it_begins CHECK (expires_at >= created_at)
);
CREATE UNIQUE INDEX webhook_secrets_one_lasting ON webhook_secrets (webhook_id) WHERE expires_at IS NULL;

-- The log: one line for each time a webhook was called, with what it answered.
CREATE TABLE delivery_tries (
    webhook_id   text COLLATE "C" NOT NULL,
    event_id     text COLLATE "C" NOT NULL,
    number       integer NOT NULL,
    url          text COLLATE "C" NOT NULL,
    tried_at     timestamptz NOT NULL,
    milliseconds integer NOT NULL,
    http_status  integer,
    answer       text,
    error        text COLLATE "C",
    CONSTRAINT delivery_tries_pkey PRIMARY KEY (webhook_id, event_id, number),
    CONSTRAINT delivery_tries_webhook_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks,
    CONSTRAINT delivery_tries_event_fkey FOREIGN KEY (event_id) REFERENCES events,
    CONSTRAINT delivery_tries_number_positive CHECK (number > 0),
    CONSTRAINT delivery_tries_time_not_negative CHECK (milliseconds >= 0),
    CONSTRAINT delivery_tries_status_is_http CHECK (http_status BETWEEN 100 AND 999),
    CONSTRAINT delivery_tries_answer_length CHECK (length(answer) <= 1000),
    CONSTRAINT delivery_tries_answered_or_failed CHECK (http_status IS NOT NULL OR error IS NOT NULL)
);
CREATE TRIGGER delivery_tries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON delivery_tries
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();
ALTER TABLE delivery_tries ENABLE ALWAYS TRIGGER delivery_tries_append_only;

-- A delivery may be asked for again; the waits between its tries begin anew after this many.
ALTER TABLE deliveries ADD COLUMN replayed_after integer NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_replayed_within_attempts
    CHECK (replayed_after BETWEEN 0 AND attempts);
CREATE INDEX deliveries_of_webhooks ON deliveries (destination, event_id) WHERE destination LIKE 'webhook:%';

GRANT SELECT, INSERT, UPDATE ON webhooks, webhook_secrets TO kopeyka_app;
GRANT SELECT, INSERT ON delivery_tries TO kopeyka_app;
