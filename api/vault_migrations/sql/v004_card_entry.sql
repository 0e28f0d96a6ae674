-- Cards on their way in: forms that are open, sealed cards that were seen, and CVCs that wait for their outcome.

-- One form takes one card of one merchant's buyer, shown in one page. Its id is drawn and cannot be guessed: who has
-- it may enter a card, and nothing else. A merchant's backend that repeats its request gets the same form.
CREATE TABLE card_sessions (
    id          text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    request_key text COLLATE "C" NOT NULL,
    buyer_id    text COLLATE "C",
    origin      text COLLATE "C" NOT NULL,
    wants_cvc   boolean NOT NULL,
    terms       jsonb NOT NULL,
    status      text COLLATE "C" NOT NULL,
    attempts    smallint NOT NULL DEFAULT 0,
    token       text COLLATE "C",
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CONSTRAINT card_sessions_pkey PRIMARY KEY (id),
    CONSTRAINT card_sessions_request_key UNIQUE (merchant_id, request_key),
    CONSTRAINT card_sessions_id_form CHECK (id ~ '^cse_[0-9A-Za-z]{25}$'),
    CONSTRAINT card_sessions_merchant_form CHECK (merchant_id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    CONSTRAINT card_sessions_request_key_length CHECK (length(request_key) BETWEEN 1 AND 255),
    CONSTRAINT card_sessions_buyer_form CHECK (buyer_id ~ '^[!-~]{1,64}$' AND buyer_id !~ '[0-9]{13}'),
    CONSTRAINT card_sessions_origin_form CHECK (origin ~ '^https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?$'),
    CONSTRAINT card_sessions_terms_are_an_object CHECK (jsonb_typeof(terms) = 'object'),
    CONSTRAINT card_sessions_status_is_known CHECK (status IN ('open', 'used', 'blocked')),
    CONSTRAINT card_sessions_attempts_in_range CHECK (attempts BETWEEN 0 AND 50),
    CONSTRAINT card_sessions_used_says_token CHECK ((status = 'used') = (num_nulls(token, used_at) = 0)),
    CONSTRAINT card_sessions_open_for_an_hour_at_most
        CHECK (expires_at > created_at AND expires_at <= created_at + interval '1 hour')
);
CREATE INDEX card_sessions_by_end ON card_sessions (expires_at);

-- The names of sealed cards that were taken, for as long as they could be sent again: a copy of one is no card.
CREATE TABLE seen_sealed_cards (
    jti         text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    request_key text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL,
    token       text COLLATE "C" NOT NULL,
    seen_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT seen_sealed_cards_pkey PRIMARY KEY (jti),
    CONSTRAINT seen_sealed_cards_request_key UNIQUE (merchant_id, request_key),
    CONSTRAINT seen_sealed_cards_jti_form CHECK (jti ~ '^[A-Za-z0-9_-]{16,64}$'),
    CONSTRAINT seen_sealed_cards_merchant_form CHECK (merchant_id ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    CONSTRAINT seen_sealed_cards_request_key_length CHECK (length(request_key) BETWEEN 1 AND 255),
    CONSTRAINT seen_sealed_cards_digest_length CHECK (length(digest) = 32),
    CONSTRAINT seen_sealed_cards_expire_later CHECK (expires_at > seen_at)
);
CREATE INDEX seen_sealed_cards_by_end ON seen_sealed_cards (expires_at);

-- CVCs, sealed, until the outcome of their authorisation and an hour at most. Unlogged: nothing of it is in the
-- write-ahead log or a standby, and after a crash it is empty. pg_dump is told to leave it out.
-- Source: PCI DSS 3.3.1, 3.3.2.
CREATE UNLOGGED TABLE sad_volatile (
    token      text COLLATE "C" NOT NULL,
    sealed     bytea NOT NULL,
    kept_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT sad_volatile_pkey PRIMARY KEY (token),
    CONSTRAINT sad_volatile_token_form CHECK (token ~ '^tok_[0-9A-Za-z]{25}$'),
    CONSTRAINT sad_volatile_is_sealed CHECK (length(sealed) BETWEEN 37 AND 64),
    CONSTRAINT sad_volatile_an_hour_at_most
        CHECK (expires_at > kept_at AND expires_at <= kept_at + interval '1 hour')
);
CREATE INDEX sad_volatile_by_end ON sad_volatile (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON card_sessions, seen_sealed_cards, sad_volatile TO kopeyka_vault;

-- Which buyer of a merchant keeps which card: the merchant's own words for its buyers, never a name or a phone.
CREATE TABLE buyer_cards (
    merchant_id text COLLATE "C" NOT NULL,
    buyer_id    text COLLATE "C" NOT NULL,
    token       text COLLATE "C" NOT NULL,
    added_at    timestamptz NOT NULL,
    CONSTRAINT buyer_cards_pkey PRIMARY KEY (merchant_id, buyer_id, token),
    CONSTRAINT buyer_cards_token_fkey FOREIGN KEY (token) REFERENCES cards (token),
    CONSTRAINT buyer_cards_buyer_form CHECK (buyer_id ~ '^[!-~]{1,64}$' AND buyer_id !~ '[0-9]{13}')
);
CREATE INDEX buyer_cards_by_token ON buyer_cards (token);
GRANT SELECT, INSERT, DELETE ON buyer_cards TO kopeyka_vault;
