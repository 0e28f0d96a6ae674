-- The books: what is kept, who may write it, and the one function that does.
-- Read ledger/README.md first; this file is its second half.

CREATE TABLE books (
    number            smallint PRIMARY KEY,
    name              text COLLATE "C" NOT NULL UNIQUE,
    closed_through_on date,
    folded_below      xid8 NOT NULL DEFAULT '0',
    created_at        timestamptz NOT NULL,
    CONSTRAINT books_name_is_a_slug CHECK (name ~ '^[a-z][a-z0-9_-]{0,31}$')
);

CREATE TABLE commodities (
    code       text COLLATE "C" PRIMARY KEY,
    scale      smallint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT commodities_code_is_known CHECK (code ~ '^(RUB|PTS:[a-z0-9_-]{1,32})$'),
    CONSTRAINT commodities_scale_in_range CHECK (scale BETWEEN 0 AND 6)
);

-- A CHECK of a table is read and planned anew by each statement that writes to it, a node at a time; a domain's is kept,
-- and so is a function's body. So a rule of one column is its domain's, and postings have one CHECK, which asks a
-- function. DECISIONS.md, 19 and 23.
CREATE DOMAIN account_counter AS bigint CONSTRAINT accounts_counters_not_negative CHECK (VALUE >= 0);
CREATE DOMAIN entry_reference AS text COLLATE "C"
    CONSTRAINT postings_reference_length CHECK (length(VALUE) BETWEEN 1 AND 128);
CREATE DOMAIN entry_kind AS text COLLATE "C" CONSTRAINT postings_kind_length CHECK (length(VALUE) BETWEEN 1 AND 64);

CREATE TABLE accounts (
    book           smallint NOT NULL,
    number         integer NOT NULL,
    debits_posted  account_counter NOT NULL DEFAULT 0,
    credits_posted account_counter NOT NULL DEFAULT 0,
    debits_held    account_counter NOT NULL DEFAULT 0,
    credits_held   account_counter NOT NULL DEFAULT 0,
    version        bigint NOT NULL DEFAULT 0,
    available_min  bigint,
    balance_max    bigint,
    opened_at      timestamptz NOT NULL,
    closed_at      timestamptz,
    normal_side    text COLLATE "C" NOT NULL,
    commodity      text COLLATE "C" NOT NULL,
    code           text COLLATE "C" NOT NULL,
    metadata       jsonb,
    CONSTRAINT accounts_pkey PRIMARY KEY (book, number),
    CONSTRAINT accounts_code_key UNIQUE (book, code)
) WITH (fillfactor = 50);

-- One row is one posting. The first posting of an entry (number 1) also carries what belongs
-- to the entry as a whole, its times included; a second table would cost 40 % more disk.
CREATE TABLE postings (
    entry_id       uuid NOT NULL,
    amount         bigint NOT NULL,
    debit_version  bigint NOT NULL,
    debit_balance  bigint NOT NULL,
    credit_version bigint NOT NULL,
    credit_balance bigint NOT NULL,
    happened_at    timestamptz,
    recorded_at    timestamptz,
    xid            xid8,
    debit          integer NOT NULL,
    credit         integer NOT NULL,
    book           smallint NOT NULL,
    number         smallint NOT NULL,
    commodity      text COLLATE "C" NOT NULL,
    body_hash      uuid,
    reference      entry_reference,
    kind           entry_kind,
    metadata       jsonb,
    CONSTRAINT postings_pkey PRIMARY KEY (book, entry_id, number) WITH (fillfactor = 100)
);
-- The first posting carries the entry, all of it but what nobody told; the others carry nothing of it.
CREATE FUNCTION posting_is_sound(p postings) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN p.amount > 0 AND p.debit_version > 0 AND p.credit_version > 0 AND p.debit <> p.credit AND CASE p.number
        WHEN 1 THEN num_nulls(p.happened_at, p.recorded_at, p.xid, p.body_hash, p.reference, p.kind) = 0
        ELSE p.number BETWEEN 2 AND 64 AND num_nonnulls(
            p.happened_at, p.recorded_at, p.xid, p.body_hash, p.reference, p.kind, p.metadata) = 0
    END;
END $$;
ALTER TABLE postings ADD CONSTRAINT postings_are_sound CHECK (posting_is_sound(postings));
CREATE UNIQUE INDEX postings_debit_version ON postings (book, debit, debit_version);
CREATE UNIQUE INDEX postings_credit_version ON postings (book, credit, credit_version);
-- Rows come in the order of these keys and never change: their pages may be full.
CREATE UNIQUE INDEX postings_reference ON postings (book, reference) WITH (fillfactor = 100)
    WHERE reference IS NOT NULL;
-- An entry is reversed once.
CREATE UNIQUE INDEX postings_reverses ON postings (book, (metadata ->> 'reverses')) WHERE kind = 'reversal';
CREATE INDEX postings_xid ON postings (book, xid) WITH (fillfactor = 100) WHERE xid IS NOT NULL;
CREATE INDEX postings_happened_at ON postings USING brin (happened_at)
    WITH (pages_per_range = 32, autosummarize = on) WHERE happened_at IS NOT NULL;

-- A refused reference stays refused: a retry must not book by luck what was once said no to.
CREATE TABLE refusals (
    book        smallint NOT NULL,
    reference   text COLLATE "C" NOT NULL,
    entry_id    uuid NOT NULL,
    body_hash   uuid NOT NULL,
    code        text COLLATE "C" NOT NULL,
    facts       jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT refusals_pkey PRIMARY KEY (book, reference)
);

CREATE TABLE holds (
    book            smallint NOT NULL,
    id              uuid NOT NULL,
    reference       text COLLATE "C" NOT NULL,
    body_hash       uuid NOT NULL,
    kind            text COLLATE "C" NOT NULL,
    debit           integer NOT NULL,
    credit          integer NOT NULL,
    commodity       text COLLATE "C" NOT NULL,
    amount          bigint NOT NULL,
    amount_posted   bigint NOT NULL DEFAULT 0,
    amount_released bigint NOT NULL DEFAULT 0,
    state           text COLLATE "C" NOT NULL DEFAULT 'open',
    happened_at     timestamptz NOT NULL,
    expires_at      timestamptz,
    recorded_at     timestamptz NOT NULL,
    metadata        jsonb,
    CONSTRAINT holds_pkey PRIMARY KEY (book, id),
    CONSTRAINT holds_reference_key UNIQUE (book, reference),
    CONSTRAINT holds_amount_positive CHECK (amount > 0),
    CONSTRAINT holds_two_accounts CHECK (debit <> credit),
    CONSTRAINT holds_state_is_known CHECK (state IN ('open', 'posted', 'released', 'expired')),
    CONSTRAINT holds_parts_within_amount CHECK (
        amount_posted >= 0 AND amount_released >= 0 AND amount_posted + amount_released <= amount
    ),
    CONSTRAINT holds_closed_when_spent CHECK ((state = 'open') = (amount_posted + amount_released < amount))
);
CREATE INDEX holds_expires_at ON holds (expires_at) WHERE state = 'open' AND expires_at IS NOT NULL;

CREATE TABLE hold_events (
    book        smallint NOT NULL,
    hold_id     uuid NOT NULL,
    number      integer NOT NULL,
    what        text COLLATE "C" NOT NULL,
    amount      bigint NOT NULL,
    entry_id    uuid,
    reference   text COLLATE "C" NOT NULL,
    body_hash   uuid NOT NULL,
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT hold_events_pkey PRIMARY KEY (book, hold_id, number),
    CONSTRAINT hold_events_reference_key UNIQUE (book, reference),
    CONSTRAINT hold_events_what_is_known CHECK (what IN ('placed', 'posted', 'released', 'expired')),
    CONSTRAINT hold_events_amount_positive CHECK (amount > 0),
    CONSTRAINT hold_events_entry_when_posted CHECK ((what = 'posted') = (entry_id IS NOT NULL))
);

CREATE TABLE day_totals (
    book     smallint NOT NULL,
    account  integer NOT NULL,
    day_on   date NOT NULL,
    debits   bigint NOT NULL,
    credits  bigint NOT NULL,
    postings bigint NOT NULL,
    CONSTRAINT day_totals_pkey PRIMARY KEY (book, account, day_on),
    CONSTRAINT day_totals_not_negative CHECK (debits >= 0 AND credits >= 0 AND postings > 0)
);

CREATE TABLE period_closes (
    book              smallint NOT NULL,
    closed_through_on date NOT NULL,
    closed_at         timestamptz NOT NULL,
    closed_by         text NOT NULL,
    accounts          integer NOT NULL,
    postings          bigint NOT NULL,
    proof             bytea NOT NULL,
    CONSTRAINT period_closes_pkey PRIMARY KEY (book, closed_through_on),
    CONSTRAINT period_closes_proof_is_sha256 CHECK (octet_length(proof) = 32)
);

CREATE TABLE period_balances (
    book              smallint NOT NULL,
    closed_through_on date NOT NULL,
    account           integer NOT NULL,
    debits            bigint NOT NULL,
    credits           bigint NOT NULL,
    CONSTRAINT period_balances_pkey PRIMARY KEY (book, closed_through_on, account)
);

-- Nobody rewrites the books, the owner included. Triggers refuse, never compute.
CREATE FUNCTION books_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is forbidden: post a reversal', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['postings', 'refusals', 'hold_events', 'period_closes', 'period_balances'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only()', v_table || '_append_only', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', v_table, v_table || '_append_only');
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['accounts', 'holds', 'books'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE DELETE OR TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only()', v_table || '_stay', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', v_table, v_table || '_stay');
    END LOOP;
END $$;

-- What an account is, is said once. PostgreSQL reads and plans every CHECK anew for each statement,
-- a fifth of the time of a booking; what never changes is looked at when the account is opened.
CREATE FUNCTION account_is_sound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.code !~ '^(asset|liability|equity|income|expense|memo)(:[A-Za-z0-9_.-]{1,64}){1,6}$' THEN
        RAISE EXCEPTION 'account code % is not a path', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_are_sound', TABLE = 'accounts';
    ELSIF NEW.normal_side NOT IN ('debit', 'credit') THEN
        RAISE EXCEPTION '% is no side', NEW.normal_side
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_are_sound', TABLE = 'accounts';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_are_sound BEFORE INSERT ON accounts
    FOR EACH ROW EXECUTE FUNCTION account_is_sound();
CREATE TRIGGER accounts_stay_what_they_are BEFORE UPDATE OF book, number, code, commodity, normal_side, opened_at ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- The limits, looked at only where there is one.
CREATE FUNCTION account_is_within_limits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_balance  bigint := NEW.debits_posted - NEW.credits_posted;
    v_held_out bigint := NEW.credits_held;
    v_held_in  bigint := NEW.debits_held;
BEGIN
    IF NEW.normal_side = 'credit' THEN
        v_balance := -v_balance;
        v_held_out := NEW.debits_held;
        v_held_in := NEW.credits_held;
    END IF;
    IF v_balance - v_held_out < NEW.available_min THEN
        RAISE EXCEPTION 'account % would be overdrawn', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_not_overdrawn', TABLE = 'accounts';
    ELSIF v_balance + v_held_in > NEW.balance_max THEN
        RAISE EXCEPTION 'account % would pass its ceiling', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_under_ceiling', TABLE = 'accounts';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER accounts_within_limits AFTER INSERT OR UPDATE ON accounts FOR EACH ROW
    WHEN (coalesce(NEW.available_min, NEW.balance_max) IS NOT NULL) EXECUTE FUNCTION account_is_within_limits();

ALTER TABLE accounts ENABLE ALWAYS TRIGGER accounts_are_sound;
ALTER TABLE accounts ENABLE ALWAYS TRIGGER accounts_stay_what_they_are;
ALTER TABLE accounts ENABLE ALWAYS TRIGGER accounts_within_limits;

-- The day of accounting is the Moscow calendar day.
CREATE FUNCTION moscow_day(p_at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (p_at AT TIME ZONE 'Europe/Moscow')::date
$$;
