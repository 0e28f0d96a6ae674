-- The contract of tills that the wallet's Pay API describes: who may call it, and what it keeps beside orders.
-- Money, baskets and statuses stay with orders; answers under a requestId stay with idempotency keys.

-- A partner as the contract knows it: the name in its base URL, and where its host hears of payments.
CREATE TABLE koshelek_pay_partners (
    name         text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    postback_url text COLLATE "C",
    created_at   timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    CONSTRAINT koshelek_pay_partners_pkey PRIMARY KEY (name),
    CONSTRAINT koshelek_pay_partners_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT koshelek_pay_partners_merchant_key UNIQUE (merchant_id),
    CONSTRAINT koshelek_pay_partners_name_form CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
    CONSTRAINT koshelek_pay_partners_postback_is_http CHECK (
        postback_url ~ '^https?://' AND length(postback_url) <= 2048
    ),
    CONSTRAINT koshelek_pay_partners_changed_later CHECK (changed_at >= created_at)
);

-- A payment transaction: one order with its one attempt.
CREATE TABLE koshelek_pay_payments (
    order_id      text COLLATE "C" NOT NULL,
    attempt_id    text COLLATE "C" NOT NULL,
    merchant_id   text COLLATE "C" NOT NULL,
    payment_type  text COLLATE "C" NOT NULL,
    session_id    text COLLATE "C",
    total_kopecks bigint NOT NULL,
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    CONSTRAINT koshelek_pay_payments_pkey PRIMARY KEY (order_id),
    CONSTRAINT koshelek_pay_payments_attempt_key UNIQUE (attempt_id),
    CONSTRAINT koshelek_pay_payments_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT koshelek_pay_payments_attempt_fkey FOREIGN KEY (attempt_id) REFERENCES attempts (id),
    CONSTRAINT koshelek_pay_payments_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT koshelek_pay_payments_type_form CHECK (payment_type ~ '^[A-Z][A-Z_]{1,31}$'),
    CONSTRAINT koshelek_pay_payments_session_is_shown CHECK (session_id ~ '^prs_[0-9a-z]{26}$'),
    CONSTRAINT koshelek_pay_payments_total_positive CHECK (total_kopecks > 0)
);
CREATE INDEX koshelek_pay_payments_open ON koshelek_pay_payments (order_id) WHERE ended_at IS NULL;

-- A refund asked for by a till, under the till's own id of the request.
CREATE TABLE koshelek_pay_refunds (
    refund_id     text COLLATE "C" NOT NULL,
    order_id      text COLLATE "C" NOT NULL,
    request_id    text COLLATE "C" NOT NULL,
    items         jsonb NOT NULL,
    total_kopecks bigint NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT koshelek_pay_refunds_pkey PRIMARY KEY (refund_id),
    CONSTRAINT koshelek_pay_refunds_request_key UNIQUE (order_id, request_id),
    CONSTRAINT koshelek_pay_refunds_refund_fkey FOREIGN KEY (refund_id) REFERENCES item_refunds (id),
    CONSTRAINT koshelek_pay_refunds_payment_fkey FOREIGN KEY (order_id) REFERENCES koshelek_pay_payments (order_id),
    CONSTRAINT koshelek_pay_refunds_request_is_printable CHECK (request_id ~ '^[ -~]{1,64}$'),
    CONSTRAINT koshelek_pay_refunds_items_are_a_list CHECK (jsonb_typeof(items) = 'array'),
    CONSTRAINT koshelek_pay_refunds_total_positive CHECK (total_kopecks > 0)
);

-- The fiscal receipt of a payment, as the QR code on it says; one for a payment.
CREATE TABLE koshelek_pay_receipts (
    order_id text COLLATE "C" NOT NULL,
    code     text COLLATE "C" NOT NULL,
    sent_at  timestamptz NOT NULL,
    CONSTRAINT koshelek_pay_receipts_pkey PRIMARY KEY (order_id),
    CONSTRAINT koshelek_pay_receipts_payment_fkey FOREIGN KEY (order_id) REFERENCES koshelek_pay_payments (order_id),
    CONSTRAINT koshelek_pay_receipts_code_form CHECK (
        code ~ '^t=[0-9T]{13,15}&s=[0-9]{1,10}[.][0-9]{2}&fn=[0-9]{16}&i=[0-9]{1,10}&fp=[0-9]{1,10}&n=[1-4]$'
    )
);

-- What a partner's host is told of an event, written once: every try sends the same bytes. Tries are in deliveries.
CREATE TABLE koshelek_pay_postbacks (
    event_id   text COLLATE "C" NOT NULL,
    order_id   text COLLATE "C" NOT NULL,
    body       bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT koshelek_pay_postbacks_pkey PRIMARY KEY (event_id),
    CONSTRAINT koshelek_pay_postbacks_event_fkey FOREIGN KEY (event_id) REFERENCES events (id),
    CONSTRAINT koshelek_pay_postbacks_payment_fkey FOREIGN KEY (order_id) REFERENCES koshelek_pay_payments (order_id),
    CONSTRAINT koshelek_pay_postbacks_body_length CHECK (octet_length(body) BETWEEN 2 AND 65536)
);
CREATE INDEX koshelek_pay_postbacks_of_payment ON koshelek_pay_postbacks (order_id, event_id);

GRANT SELECT, INSERT, UPDATE (postback_url, changed_at) ON koshelek_pay_partners TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE (ended_at) ON koshelek_pay_payments TO kopeyka_app;
GRANT SELECT, INSERT ON koshelek_pay_refunds, koshelek_pay_receipts, koshelek_pay_postbacks TO kopeyka_app;
