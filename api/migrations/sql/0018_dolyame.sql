-- The contract of Долями's partner API v1: which shops may call, what it keeps beside plans, and what shops are told.
-- Money, statuses and schedules stay with the plans; answers under a correlation id stay with idempotency keys.

-- A shop as the contract knows it: its login, and whose it is.
CREATE TABLE dolyame_shops (
    login        text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    product_code text COLLATE "C" NOT NULL,
    profile      text COLLATE "C" NOT NULL DEFAULT 'strict',
    created_at   timestamptz NOT NULL,
    CONSTRAINT dolyame_shops_pkey PRIMARY KEY (login),
    CONSTRAINT dolyame_shops_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT dolyame_shops_login_form CHECK (login ~ '^[A-Za-z0-9_.@-]{3,64}$'),
    CONSTRAINT dolyame_shops_profile_is_known CHECK (profile IN ('strict', 'production'))
);
CREATE INDEX dolyame_shops_of_merchant ON dolyame_shops (merchant_id);

-- A password and the certificate it is used with: neither works without the other. Two may live during a change.
CREATE TABLE dolyame_credentials (
    id                      text COLLATE "C" NOT NULL,
    login                   text COLLATE "C" NOT NULL,
    password_hash           bytea NOT NULL,
    certificate_fingerprint bytea NOT NULL,
    created_at              timestamptz NOT NULL,
    expires_at              timestamptz,
    revoked_at              timestamptz,
    CONSTRAINT dolyame_credentials_pkey PRIMARY KEY (id),
    CONSTRAINT dolyame_credentials_login_fkey FOREIGN KEY (login) REFERENCES dolyame_shops,
    CONSTRAINT dolyame_credentials_password_key UNIQUE (password_hash),
    CONSTRAINT dolyame_credentials_id_is_shown CHECK (id ~ '^dlc_[0-9a-z]{26}$'),
    CONSTRAINT dolyame_credentials_password_is_sha256 CHECK (octet_length(password_hash) = 32),
    CONSTRAINT dolyame_credentials_fingerprint_is_sha256 CHECK (octet_length(certificate_fingerprint) = 32)
);
CREATE INDEX dolyame_credentials_of_login ON dolyame_credentials (login) WHERE revoked_at IS NULL;

-- What a shop said with its order that plans have no use for. People stand here masked, as notifications show them.
CREATE TABLE dolyame_orders (
    plan_id          text COLLATE "C" NOT NULL,
    merchant_id      text COLLATE "C" NOT NULL,
    login            text COLLATE "C" NOT NULL,
    notification_url text COLLATE "C",
    success_url      text COLLATE "C",
    fail_url         text COLLATE "C",
    client_info      jsonb NOT NULL,
    fiscalization    text COLLATE "C",
    delivered_at     timestamptz,
    created_at       timestamptz NOT NULL,
    CONSTRAINT dolyame_orders_pkey PRIMARY KEY (plan_id),
    CONSTRAINT dolyame_orders_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans,
    CONSTRAINT dolyame_orders_login_fkey FOREIGN KEY (login) REFERENCES dolyame_shops,
    CONSTRAINT dolyame_orders_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT dolyame_orders_urls_are_http CHECK (
        (notification_url IS NULL OR notification_url ~ '^https?://' AND length(notification_url) <= 2048)
        AND (success_url IS NULL OR success_url ~ '^https?://' AND length(success_url) <= 2048)
        AND (fail_url IS NULL OR fail_url ~ '^https?://' AND length(fail_url) <= 2048)
    ),
    CONSTRAINT dolyame_orders_client_is_object CHECK (jsonb_typeof(client_info) = 'object'),
    CONSTRAINT dolyame_orders_fiscalization_is_known CHECK (fiscalization IN ('enabled', 'disabled'))
);

-- A refund asked for, by its body: while it is not answered, the same body is the same refund, whatever its id.
CREATE TABLE dolyame_refunds (
    id          text COLLATE "C" NOT NULL,
    plan_id     text COLLATE "C" NOT NULL,
    operation   text COLLATE "C" NOT NULL,
    body_digest bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    answered_at timestamptz,
    CONSTRAINT dolyame_refunds_pkey PRIMARY KEY (id),
    CONSTRAINT dolyame_refunds_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans,
    CONSTRAINT dolyame_refunds_id_is_shown CHECK (id ~ '^dlr_[0-9a-z]{26}$'),
    CONSTRAINT dolyame_refunds_operation_is_known CHECK (operation IN ('refund', 'correction', 'complete_delivery')),
    CONSTRAINT dolyame_refunds_digest_is_sha256 CHECK (octet_length(body_digest) = 32)
);
CREATE UNIQUE INDEX dolyame_refunds_one_in_flight ON dolyame_refunds (plan_id, operation, body_digest)
    WHERE answered_at IS NULL;

-- What a shop is told of an event, written once: every try sends the same bytes. Tries are counted in deliveries.
CREATE TABLE dolyame_notifications (
    event_id   text COLLATE "C" NOT NULL,
    plan_id    text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL,
    body       bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT dolyame_notifications_pkey PRIMARY KEY (event_id),
    CONSTRAINT dolyame_notifications_event_fkey FOREIGN KEY (event_id) REFERENCES events,
    CONSTRAINT dolyame_notifications_plan_fkey FOREIGN KEY (plan_id) REFERENCES dolyame_orders,
    CONSTRAINT dolyame_notifications_status_is_known CHECK (status IN (
        'approved', 'rejected', 'wait_for_commit', 'committed', 'completed', 'canceled', 'refunded'
    ))
);
CREATE INDEX dolyame_notifications_of_plan ON dolyame_notifications (plan_id, event_id);

GRANT SELECT, INSERT ON dolyame_notifications TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON dolyame_shops, dolyame_credentials, dolyame_orders, dolyame_refunds TO kopeyka_app;
