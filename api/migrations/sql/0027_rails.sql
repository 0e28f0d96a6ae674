-- Rails of the till: plans as a rail, rails that are off and what is offered instead, tries given up, slips.

ALTER TABLE attempts DROP CONSTRAINT attempts_rail_is_known;
ALTER TABLE attempts ADD CONSTRAINT attempts_rail_is_known
    CHECK (rail IN ('sbp', 'card', 'koshelek_pay', 'dolyame'));

-- A plan that pays for an attempt. Not settled while the two may yet say different things.
CREATE TABLE plan_attempts (
    attempt_id text COLLATE "C" NOT NULL,
    plan_id    text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT plan_attempts_pkey PRIMARY KEY (attempt_id),
    CONSTRAINT plan_attempts_plan_key UNIQUE (plan_id),
    CONSTRAINT plan_attempts_attempt_fkey FOREIGN KEY (attempt_id) REFERENCES attempts,
    CONSTRAINT plan_attempts_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans,
    CONSTRAINT plan_attempts_settled_after_begun CHECK (settled_at >= created_at)
);
CREATE INDEX plan_attempts_unsettled ON plan_attempts (attempt_id) WHERE settled_at IS NULL;

-- A rail, or one provider of it, is switched off or on again: the newest row says how it is.
CREATE TABLE rail_switches (
    id          text COLLATE "C" NOT NULL,
    rail        text COLLATE "C" NOT NULL,
    provider    text COLLATE "C",
    is_on       boolean NOT NULL,
    reason      text NOT NULL,
    switched_by text COLLATE "C" NOT NULL,
    switched_at timestamptz NOT NULL,
    CONSTRAINT rail_switches_pkey PRIMARY KEY (id),
    CONSTRAINT rail_switches_id_is_shown CHECK (id ~ '^rsw_[0-9a-z]{26}$'),
    CONSTRAINT rail_switches_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay', 'dolyame')),
    CONSTRAINT rail_switches_provider_form CHECK (provider ~ '^[a-z0-9_-]{1,40}$'),
    CONSTRAINT rail_switches_reason_length CHECK (length(reason) BETWEEN 1 AND 300)
);
CREATE INDEX rail_switches_newest ON rail_switches (rail, provider, id DESC);
CREATE TRIGGER rail_switches_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rail_switches
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- The rails on at a till today are those rolled out there, without what is switched off for everybody.
ALTER FUNCTION rails_on_at RENAME TO rails_rolled_out_at;
CREATE FUNCTION rails_on_at(p_terminal text, p_rails text[], p_day date) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(r.rail ORDER BY r.place), '{}')
      FROM unnest(rails_rolled_out_at(p_terminal, p_rails, p_day)) WITH ORDINALITY AS r (rail, place)
     WHERE coalesce((SELECT s.is_on FROM rail_switches AS s WHERE s.rail = r.rail AND s.provider IS NULL
                      ORDER BY s.id DESC LIMIT 1), true)
$$;
REVOKE ALL ON FUNCTION rails_on_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rails_on_at TO kopeyka_app;

-- The rail that a buyer chose to pay by with a loyalty card. None: taken back, as the till has it.
CREATE TABLE preferred_rails (
    loyalty_card_id text COLLATE "C" NOT NULL,
    rail            text COLLATE "C",
    chosen_at       timestamptz NOT NULL,
    version         integer NOT NULL DEFAULT 1,
    CONSTRAINT preferred_rails_pkey PRIMARY KEY (loyalty_card_id),
    CONSTRAINT preferred_rails_card_fkey FOREIGN KEY (loyalty_card_id) REFERENCES loyalty_cards,
    CONSTRAINT preferred_rails_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay', 'dolyame')),
    CONSTRAINT preferred_rails_version_positive CHECK (version > 0)
);

-- What is offered instead of a rail that is off: of one merchant, or of all. The newest row says; none ends the rule.
CREATE TABLE failover_rules (
    id          text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C",
    rail        text COLLATE "C" NOT NULL,
    next_rail   text COLLATE "C",
    decided_by  text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT failover_rules_pkey PRIMARY KEY (id),
    CONSTRAINT failover_rules_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT failover_rules_id_is_shown CHECK (id ~ '^frl_[0-9a-z]{26}$'),
    CONSTRAINT failover_rules_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay', 'dolyame')),
    CONSTRAINT failover_rules_next_asks_nothing CHECK (next_rail IN ('sbp', 'dolyame')),
    CONSTRAINT failover_rules_leads_elsewhere CHECK (next_rail <> rail)
);
CREATE INDEX failover_rules_newest ON failover_rules (rail, merchant_id, id DESC);
CREATE TRIGGER failover_rules_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON failover_rules
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- An attempt that went by another rail than was asked for.
CREATE TABLE attempt_failovers (
    attempt_id text COLLATE "C" NOT NULL,
    asked_rail text COLLATE "C" NOT NULL,
    rail       text COLLATE "C" NOT NULL,
    switch_id  text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT attempt_failovers_pkey PRIMARY KEY (attempt_id),
    CONSTRAINT attempt_failovers_attempt_fkey FOREIGN KEY (attempt_id) REFERENCES attempts,
    CONSTRAINT attempt_failovers_switch_fkey FOREIGN KEY (switch_id) REFERENCES rail_switches,
    CONSTRAINT attempt_failovers_went_elsewhere CHECK (asked_rail <> rail)
);
CREATE TRIGGER attempt_failovers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attempt_failovers
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- An attempt given up by itself: its rail did not answer so many times.
CREATE TABLE unanswered_attempts (
    attempt_id text COLLATE "C" NOT NULL,
    tries      integer NOT NULL,
    ended_at   timestamptz NOT NULL,
    CONSTRAINT unanswered_attempts_pkey PRIMARY KEY (attempt_id),
    CONSTRAINT unanswered_attempts_attempt_fkey FOREIGN KEY (attempt_id) REFERENCES attempts,
    CONSTRAINT unanswered_attempts_tries_positive CHECK (tries > 0)
);
CREATE TRIGGER unanswered_attempts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON unanswered_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

-- Each time a slip of an order was handed out: the first is the slip, the others are copies.
CREATE TABLE slip_issues (
    order_id  text COLLATE "C" NOT NULL,
    issue     integer NOT NULL,
    issued_by text COLLATE "C" NOT NULL,
    issued_at timestamptz NOT NULL,
    CONSTRAINT slip_issues_pkey PRIMARY KEY (order_id, issue),
    CONSTRAINT slip_issues_order_fkey FOREIGN KEY (order_id) REFERENCES orders,
    CONSTRAINT slip_issues_in_range CHECK (issue BETWEEN 1 AND 100)
);
CREATE TRIGGER slip_issues_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON slip_issues
    FOR EACH STATEMENT EXECUTE FUNCTION books_are_append_only();

GRANT SELECT, INSERT ON rail_switches, failover_rules, attempt_failovers, unanswered_attempts, slip_issues
    TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE ON plan_attempts, preferred_rails TO kopeyka_app;
