-- Points (баллы): whose programme, by which rule of which day, and in which lots they lie until they are spent, expire
-- or go back. The books keep how many there are; these tables keep where each came from and when it ends.

CREATE TABLE points_programmes (
    code          text COLLATE "C" NOT NULL,
    merchant_id   text COLLATE "C" NOT NULL REFERENCES merchants,
    name          text NOT NULL,
    point_kopecks integer NOT NULL,
    thresholds    integer[] NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT points_programmes_pkey PRIMARY KEY (code),
    CONSTRAINT points_programmes_code_is_a_word CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    CONSTRAINT points_programmes_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT points_programmes_point_in_range CHECK (point_kopecks BETWEEN 1 AND 10000),
    CONSTRAINT points_programmes_thresholds_are_few CHECK (cardinality(thresholds) <= 10 AND 0 < ALL (thresholds))
);
CREATE INDEX points_programmes_of_merchant ON points_programmes (merchant_id, code);
CREATE TRIGGER points_programmes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON points_programmes
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- A rule is published for a day and never rewritten; the newest day that has come counts.
CREATE TABLE points_rules (
    id                 text COLLATE "C" NOT NULL,
    programme          text COLLATE "C" NOT NULL REFERENCES points_programmes,
    valid_from_on      date NOT NULL,
    earn_basis_points  integer NOT NULL,
    line_basis_points  integer NOT NULL,
    basket_basis_points integer NOT NULL,
    earn_from_kopecks  bigint NOT NULL,
    lot_days           integer NOT NULL,
    delay_days         integer NOT NULL,
    return_days        integer NOT NULL,
    excluded_articles  text[] COLLATE "C" NOT NULL,
    created_at         timestamptz NOT NULL,
    CONSTRAINT points_rules_pkey PRIMARY KEY (id),
    CONSTRAINT points_rules_day_key UNIQUE (programme, valid_from_on),
    CONSTRAINT points_rules_of_programme_key UNIQUE (id, programme),
    CONSTRAINT points_rules_id_is_shown CHECK (id ~ '^prl_[0-9a-z]{26}$'),
    CONSTRAINT points_rules_shares_in_range CHECK (
        earn_basis_points BETWEEN 0 AND 10000 AND line_basis_points BETWEEN 0 AND 10000
        AND basket_basis_points BETWEEN 0 AND 10000
    ),
    CONSTRAINT points_rules_earn_from_in_range CHECK (earn_from_kopecks BETWEEN 0 AND 100000000),
    CONSTRAINT points_rules_days_in_range CHECK (
        lot_days BETWEEN 1 AND 3650 AND delay_days BETWEEN 0 AND 365 AND delay_days < lot_days
        AND return_days BETWEEN 1 AND 3650
    ),
    CONSTRAINT points_rules_excluded_are_few CHECK (cardinality(excluded_articles) <= 500)
);
CREATE TRIGGER points_rules_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON points_rules
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- One row of each card that points were ever given to: its accounts are open. Its lock is the card's.
CREATE TABLE points_purses (
    card_id      text COLLATE "C" NOT NULL REFERENCES loyalty_cards,
    programme    text COLLATE "C" NOT NULL REFERENCES points_programmes,
    owed_points  bigint NOT NULL DEFAULT 0,
    opened_at    timestamptz NOT NULL,
    CONSTRAINT points_purses_pkey PRIMARY KEY (card_id),
    CONSTRAINT points_purses_programme_key UNIQUE (card_id, programme),
    CONSTRAINT points_purses_owed_not_negative CHECK (owed_points >= 0)
) WITH (fillfactor = 80);

CREATE TABLE points_lots (
    id           text COLLATE "C" NOT NULL,
    card_id      text COLLATE "C" NOT NULL,
    programme    text COLLATE "C" NOT NULL,
    rule_id      text COLLATE "C" NOT NULL,
    reason       text COLLATE "C" NOT NULL,
    order_id     text COLLATE "C" REFERENCES orders,
    points       bigint NOT NULL,
    points_left  bigint NOT NULL,
    earned_at    timestamptz NOT NULL,
    spendable_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT points_lots_pkey PRIMARY KEY (id),
    CONSTRAINT points_lots_purse_fkey FOREIGN KEY (card_id, programme) REFERENCES points_purses (card_id, programme),
    CONSTRAINT points_lots_rule_fkey FOREIGN KEY (rule_id, programme) REFERENCES points_rules (id, programme),
    CONSTRAINT points_lots_id_is_shown CHECK (id ~ '^lot_[0-9a-z]{26}$'),
    CONSTRAINT points_lots_reason_is_known CHECK (reason IN ('earned', 'returned', 'granted')),
    CONSTRAINT points_lots_of_an_order CHECK (order_id IS NOT NULL OR reason = 'granted'),
    CONSTRAINT points_lots_left_in_range CHECK (points > 0 AND points_left BETWEEN 0 AND points),
    CONSTRAINT points_lots_live_a_while CHECK (earned_at <= spendable_at AND spendable_at < expires_at)
) WITH (fillfactor = 80);
CREATE INDEX points_lots_to_spend ON points_lots (card_id, expires_at, id) WHERE points_left > 0;
CREATE INDEX points_lots_to_expire ON points_lots (expires_at) WHERE points_left > 0;
CREATE UNIQUE INDEX points_lots_one_earned ON points_lots (order_id) WHERE reason = 'earned';

-- What one order takes of a card's points: set aside when it is placed, gone when it is paid.
CREATE TABLE points_spendings (
    order_id       text COLLATE "C" NOT NULL REFERENCES orders,
    card_id        text COLLATE "C" NOT NULL,
    programme      text COLLATE "C" NOT NULL,
    points         bigint NOT NULL,
    amount_kopecks bigint NOT NULL,
    points_returned bigint NOT NULL DEFAULT 0,
    status         text COLLATE "C" NOT NULL DEFAULT 'reserved',
    reserved_at    timestamptz NOT NULL,
    ended_at       timestamptz,
    CONSTRAINT points_spendings_pkey PRIMARY KEY (order_id),
    CONSTRAINT points_spendings_purse_fkey FOREIGN KEY (card_id, programme)
        REFERENCES points_purses (card_id, programme),
    CONSTRAINT points_spendings_points_positive CHECK (points > 0 AND amount_kopecks > 0),
    CONSTRAINT points_spendings_status_is_known CHECK (status IN ('reserved', 'spent', 'released')),
    CONSTRAINT points_spendings_ended_when_over CHECK ((status = 'reserved') = (ended_at IS NULL)),
    CONSTRAINT points_spendings_returned_of_spent CHECK (
        points_returned BETWEEN 0 AND points AND (points_returned = 0 OR status = 'spent')
    )
) WITH (fillfactor = 80);
CREATE INDEX points_spendings_of_card ON points_spendings (card_id, order_id);

CREATE TABLE points_uses (
    order_id        text COLLATE "C" NOT NULL REFERENCES points_spendings,
    lot_id          text COLLATE "C" NOT NULL REFERENCES points_lots,
    points          bigint NOT NULL,
    CONSTRAINT points_uses_pkey PRIMARY KEY (order_id, lot_id),
    CONSTRAINT points_uses_points_positive CHECK (points > 0)
);
CREATE INDEX points_uses_of_lot ON points_uses (lot_id);
CREATE TRIGGER points_uses_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON points_uses
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- What one refund did to the points of its order, once.
CREATE TABLE points_returns (
    refund_id     text COLLATE "C" NOT NULL,
    order_id      text COLLATE "C" NOT NULL REFERENCES orders,
    card_id       text COLLATE "C" NOT NULL REFERENCES points_purses,
    points_back   bigint NOT NULL,
    accrued_back  bigint NOT NULL,
    accrued_owed  bigint NOT NULL,
    returned_at   timestamptz NOT NULL,
    CONSTRAINT points_returns_pkey PRIMARY KEY (refund_id),
    CONSTRAINT points_returns_are_of_something CHECK (
        points_back >= 0 AND accrued_back >= 0 AND points_back + accrued_back > 0
        AND accrued_owed BETWEEN 0 AND accrued_back
    )
);
CREATE INDEX points_returns_of_order ON points_returns (order_id);
CREATE TRIGGER points_returns_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON points_returns
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

GRANT SELECT, INSERT ON points_programmes, points_rules, points_uses, points_returns TO kopeyka_app;
GRANT SELECT, INSERT ON points_purses, points_lots, points_spendings TO kopeyka_app;
GRANT UPDATE (owed_points) ON points_purses TO kopeyka_app;
GRANT UPDATE (points_left) ON points_lots TO kopeyka_app;
GRANT UPDATE (status, ended_at, points_returned) ON points_spendings TO kopeyka_app;
