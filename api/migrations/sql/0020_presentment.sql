-- Loyalty cards, the phones that show them, and what was scanned at tills. A phone number is here as a keyed digest
-- only, and no secret of a barcode is here at all: it is made of the house's key when it is needed.

-- A card number must never be taken for the number of a payment card. Source: ISO/IEC 7812-1, annex B.
CREATE FUNCTION fails_luhn(digits text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT sum(CASE WHEN (length(digits) - place) % 2 = 0 THEN digit ELSE digit * 2 / 10 + digit * 2 % 10 END) % 10 <> 0
      FROM generate_series(1, length(digits)) AS place, LATERAL (SELECT substr(digits, place, 1)::int AS digit) AS one
$$;

CREATE TABLE loyalty_cards (
    id             text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL,
    programme      text COLLATE "C" NOT NULL,
    number         text COLLATE "C" NOT NULL,
    phone_digest   bytea,
    status         text COLLATE "C" NOT NULL DEFAULT 'active',
    blocked_reason text,
    issued_at      timestamptz NOT NULL,
    version        integer NOT NULL DEFAULT 1,
    CONSTRAINT loyalty_cards_pkey PRIMARY KEY (id),
    CONSTRAINT loyalty_cards_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT loyalty_cards_number_key UNIQUE (number),
    CONSTRAINT loyalty_cards_whose_key UNIQUE (id, merchant_id),
    CONSTRAINT loyalty_cards_id_is_shown CHECK (id ~ '^lcd_[0-9a-z]{26}$'),
    CONSTRAINT loyalty_cards_programme_form CHECK (programme ~ '^[a-z0-9_-]{1,32}$'),
    CONSTRAINT loyalty_cards_number_form CHECK (number ~ '^29[0-9]{10}$'),
    CONSTRAINT loyalty_cards_number_is_no_pan CHECK (fails_luhn(number)),
    CONSTRAINT loyalty_cards_digest_is_sha256 CHECK (octet_length(phone_digest) = 32),
    CONSTRAINT loyalty_cards_status_is_known CHECK (status IN ('active', 'blocked')),
    CONSTRAINT loyalty_cards_blocked_with_reason CHECK (
        (status = 'blocked') = (blocked_reason IS NOT NULL) AND length(blocked_reason) BETWEEN 1 AND 200
    ),
    CONSTRAINT loyalty_cards_version_positive CHECK (version > 0)
);
CREATE UNIQUE INDEX loyalty_cards_one_of_phone ON loyalty_cards (merchant_id, programme, phone_digest)
    WHERE phone_digest IS NOT NULL;
CREATE INDEX loyalty_cards_of_phone ON loyalty_cards (merchant_id, phone_digest) WHERE phone_digest IS NOT NULL;
CREATE INDEX loyalty_cards_of_merchant ON loyalty_cards (merchant_id, id);

-- One phone that shows one card: its codes are its own, and end with it.
CREATE TABLE loyalty_showings (
    id         text COLLATE "C" NOT NULL,
    card_id    text COLLATE "C" NOT NULL,
    number     integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    CONSTRAINT loyalty_showings_pkey PRIMARY KEY (id),
    CONSTRAINT loyalty_showings_card_fkey FOREIGN KEY (card_id) REFERENCES loyalty_cards,
    CONSTRAINT loyalty_showings_number_key UNIQUE (card_id, number),
    CONSTRAINT loyalty_showings_of_card_key UNIQUE (id, card_id),
    CONSTRAINT loyalty_showings_id_is_shown CHECK (id ~ '^shw_[0-9a-z]{26}$'),
    CONSTRAINT loyalty_showings_number_in_range CHECK (number BETWEEN 1 AND 9999),
    CONSTRAINT loyalty_showings_ends_later CHECK (ended_at >= started_at)
);

-- One scan: never rewritten. A time code is of one step of one phone, and counts once.
CREATE TABLE presentments (
    id                   text COLLATE "C" NOT NULL,
    merchant_id          text COLLATE "C" NOT NULL,
    store_id             text COLLATE "C" NOT NULL,
    terminal_id          text COLLATE "C" NOT NULL,
    loyalty_card_id      text COLLATE "C" NOT NULL,
    showing_id           text COLLATE "C",
    time_step            bigint,
    is_payment_available boolean NOT NULL,
    rails                text[] NOT NULL,
    preferred_rail       text COLLATE "C",
    unavailable_reason   text COLLATE "C",
    presented_at         timestamptz NOT NULL,
    CONSTRAINT presentments_pkey PRIMARY KEY (id),
    CONSTRAINT presentments_terminal_fkey FOREIGN KEY (terminal_id, store_id, merchant_id)
        REFERENCES terminals (id, store_id, merchant_id),
    CONSTRAINT presentments_card_fkey FOREIGN KEY (loyalty_card_id, merchant_id)
        REFERENCES loyalty_cards (id, merchant_id),
    CONSTRAINT presentments_showing_fkey FOREIGN KEY (showing_id, loyalty_card_id)
        REFERENCES loyalty_showings (id, card_id),
    CONSTRAINT presentments_code_counts_once UNIQUE (showing_id, time_step),
    CONSTRAINT presentments_id_is_shown CHECK (id ~ '^prs_[0-9a-z]{26}$'),
    CONSTRAINT presentments_code_has_its_phone CHECK ((showing_id IS NULL) = (time_step IS NULL)),
    CONSTRAINT presentments_step_positive CHECK (time_step > 0),
    CONSTRAINT presentments_payable_by_something CHECK (is_payment_available = (cardinality(rails) > 0)),
    CONSTRAINT presentments_payable_by_phone_only CHECK (NOT is_payment_available OR showing_id IS NOT NULL),
    CONSTRAINT presentments_rails_few CHECK (cardinality(rails) <= 16),
    CONSTRAINT presentments_preferred_is_offered CHECK (preferred_rail IS NULL OR preferred_rail = ANY (rails)),
    CONSTRAINT presentments_reason_when_not CHECK (is_payment_available = (unavailable_reason IS NULL)),
    CONSTRAINT presentments_reason_is_known CHECK (
        unavailable_reason IN ('static_barcode', 'no_rails', 'not_known_in_time')
    )
);
CREATE INDEX presentments_of_terminal ON presentments (terminal_id, id);
CREATE INDEX presentments_of_card ON presentments (loyalty_card_id, id);

CREATE TRIGGER presentments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON presentments
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();
ALTER TABLE presentments ENABLE ALWAYS TRIGGER presentments_append_only;

-- The till and phone pages of a sandbox: one link, one till, one card, and every call between them.
CREATE TABLE till_sessions (
    link_code       text COLLATE "C" NOT NULL,
    merchant_id     text COLLATE "C" NOT NULL,
    store_id        text COLLATE "C" NOT NULL,
    terminal_id     text COLLATE "C" NOT NULL,
    loyalty_card_id text COLLATE "C" NOT NULL,
    showing_id      text COLLATE "C" NOT NULL,
    state           jsonb NOT NULL,
    version         integer NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    CONSTRAINT till_sessions_pkey PRIMARY KEY (link_code),
    CONSTRAINT till_sessions_terminal_fkey FOREIGN KEY (terminal_id, store_id, merchant_id)
        REFERENCES terminals (id, store_id, merchant_id),
    CONSTRAINT till_sessions_showing_fkey FOREIGN KEY (showing_id, loyalty_card_id)
        REFERENCES loyalty_showings (id, card_id),
    CONSTRAINT till_sessions_link_code_form CHECK (link_code ~ '^[0-9a-z]{26,40}$'),
    CONSTRAINT till_sessions_state_is_object CHECK (jsonb_typeof(state) = 'object'),
    CONSTRAINT till_sessions_version_positive CHECK (version > 0)
);

CREATE TABLE till_session_messages (
    number       bigint GENERATED ALWAYS AS IDENTITY,
    link_code    text COLLATE "C" NOT NULL,
    source       text COLLATE "C" NOT NULL,
    target       text COLLATE "C" NOT NULL,
    said         text NOT NULL,
    status       integer,
    milliseconds integer,
    told         text COLLATE "C",
    happened_at  timestamptz NOT NULL,
    CONSTRAINT till_session_messages_pkey PRIMARY KEY (number),
    CONSTRAINT till_session_messages_session_fkey FOREIGN KEY (link_code) REFERENCES till_sessions,
    CONSTRAINT till_session_messages_ends_are_known CHECK (
        source IN ('phone', 'till', 'kopeyka', 'nspk', 'vault')
        AND target IN ('phone', 'till', 'kopeyka', 'nspk', 'vault')
        AND source <> target
    ),
    CONSTRAINT till_session_messages_said_length CHECK (length(said) BETWEEN 1 AND 200)
);
CREATE INDEX till_session_messages_of_session ON till_session_messages (link_code, number);

GRANT SELECT, INSERT ON loyalty_cards, loyalty_showings, presentments TO kopeyka_app;
GRANT UPDATE (status, blocked_reason, phone_digest, version) ON loyalty_cards TO kopeyka_app;
GRANT UPDATE (ended_at) ON loyalty_showings TO kopeyka_app;
GRANT EXECUTE ON FUNCTION fails_luhn TO kopeyka_app;
GRANT SELECT, INSERT ON till_sessions, till_session_messages TO kopeyka_app;
GRANT UPDATE (state, version) ON till_sessions TO kopeyka_app;
