-- The contract of YooKassa's API v3: what its objects have that ours do not, and who is notified.
-- Money, orders, links and refunds stay where they are; these rows only point at them.

-- Which till of ours takes what is sent to a gateway (торговая точка) of a shop.
CREATE TABLE yookassa_tills (
    merchant_id text COLLATE "C" NOT NULL,
    gateway_id  text COLLATE "C" NOT NULL,
    terminal_id text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT yookassa_tills_pkey PRIMARY KEY (merchant_id, gateway_id),
    CONSTRAINT yookassa_tills_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT yookassa_tills_terminal_id_fkey FOREIGN KEY (terminal_id) REFERENCES terminals,
    CONSTRAINT yookassa_tills_terminal_key UNIQUE (terminal_id),
    CONSTRAINT yookassa_tills_gateway_is_printable CHECK (gateway_id ~ '^[!-~]{1,64}$')
);

-- A cash link (кассовая ссылка) that a shop set up, and whether it lets payments be made by it.
CREATE TABLE yookassa_pos_links (
    cash_link_id text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    gateway_id   text COLLATE "C" NOT NULL,
    is_active    boolean NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT yookassa_pos_links_pkey PRIMARY KEY (cash_link_id),
    CONSTRAINT yookassa_pos_links_cash_link_id_fkey FOREIGN KEY (cash_link_id) REFERENCES cash_links,
    CONSTRAINT yookassa_pos_links_till_fkey FOREIGN KEY (merchant_id, gateway_id) REFERENCES yookassa_tills
);

-- A payment of the contract is one order with its one attempt; the id that clients see is the order's.
CREATE TABLE yookassa_payments (
    order_id          text COLLATE "C" NOT NULL,
    attempt_id        text COLLATE "C" NOT NULL,
    merchant_id       text COLLATE "C" NOT NULL,
    gateway_id        text COLLATE "C" NOT NULL,
    confirmation_type text COLLATE "C" NOT NULL,
    return_url        text,
    pos_link_id       text COLLATE "C",
    customer_id       text,
    metadata          jsonb NOT NULL,
    created_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    CONSTRAINT yookassa_payments_pkey PRIMARY KEY (order_id),
    CONSTRAINT yookassa_payments_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders,
    CONSTRAINT yookassa_payments_attempt_id_fkey FOREIGN KEY (attempt_id) REFERENCES attempts,
    CONSTRAINT yookassa_payments_till_fkey FOREIGN KEY (merchant_id, gateway_id) REFERENCES yookassa_tills,
    CONSTRAINT yookassa_payments_pos_link_id_fkey FOREIGN KEY (pos_link_id) REFERENCES yookassa_pos_links,
    CONSTRAINT yookassa_payments_attempt_key UNIQUE (attempt_id),
    CONSTRAINT yookassa_payments_confirmation_is_known CHECK (confirmation_type IN ('qr', 'redirect', 'external')),
    CONSTRAINT yookassa_payments_external_by_pos_link CHECK ((confirmation_type = 'external') = (pos_link_id IS NOT NULL)),
    CONSTRAINT yookassa_payments_return_url_length CHECK (length(return_url) <= 2048),
    CONSTRAINT yookassa_payments_customer_id_length CHECK (length(customer_id) BETWEEN 1 AND 200),
    CONSTRAINT yookassa_payments_metadata_is_object CHECK (jsonb_typeof(metadata) = 'object')
);
CREATE INDEX yookassa_payments_of_merchant ON yookassa_payments (merchant_id, order_id);
CREATE INDEX yookassa_payments_of_pos_link ON yookassa_payments (pos_link_id, order_id) WHERE pos_link_id IS NOT NULL;
CREATE INDEX yookassa_payments_open ON yookassa_payments (order_id) WHERE ended_at IS NULL;

-- What the contract keeps of a refund beside the refund itself.
CREATE TABLE yookassa_refunds (
    refund_id   text COLLATE "C" NOT NULL,
    order_id    text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    description text,
    metadata    jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT yookassa_refunds_pkey PRIMARY KEY (refund_id),
    CONSTRAINT yookassa_refunds_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES sbp_refunds,
    CONSTRAINT yookassa_refunds_order_id_fkey FOREIGN KEY (order_id) REFERENCES yookassa_payments,
    CONSTRAINT yookassa_refunds_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT yookassa_refunds_description_length CHECK (length(description) BETWEEN 1 AND 250),
    CONSTRAINT yookassa_refunds_metadata_is_object CHECK (jsonb_typeof(metadata) = 'object')
);
CREATE INDEX yookassa_refunds_of_merchant ON yookassa_refunds (merchant_id, refund_id);
CREATE INDEX yookassa_refunds_of_payment ON yookassa_refunds (order_id, refund_id);

-- Who is told of what. A removed webhook keeps its row, because deliveries were made for it.
CREATE TABLE yookassa_webhooks (
    id          text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    event       text COLLATE "C" NOT NULL,
    url         text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    removed_at  timestamptz,
    CONSTRAINT yookassa_webhooks_pkey PRIMARY KEY (id),
    CONSTRAINT yookassa_webhooks_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT yookassa_webhooks_id_is_shown CHECK (id ~ '^whk_[0-9a-z]{26}$'),
    CONSTRAINT yookassa_webhooks_event_is_known
        CHECK (event IN ('payment.succeeded', 'payment.canceled', 'refund.succeeded')),
    CONSTRAINT yookassa_webhooks_url_is_http CHECK (url ~ '^https?://' AND length(url) <= 2048)
);
CREATE UNIQUE INDEX yookassa_webhooks_one_live ON yookassa_webhooks (merchant_id, event, url) WHERE removed_at IS NULL;

GRANT SELECT, INSERT ON yookassa_tills TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON yookassa_pos_links, yookassa_payments, yookassa_refunds, yookassa_webhooks TO kopeyka_app;
