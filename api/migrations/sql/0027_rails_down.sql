DROP FUNCTION rails_on_at;
ALTER FUNCTION rails_rolled_out_at RENAME TO rails_on_at;
DROP TABLE slip_issues, unanswered_attempts, attempt_failovers, failover_rules, preferred_rails, rail_switches,
    plan_attempts;

DO $$
BEGIN
    IF EXISTS (SELECT FROM attempts WHERE rail = 'dolyame') THEN
        RAISE EXCEPTION 'there are attempts by plans: nobody else could say what paid their orders';
    END IF;
END $$;
ALTER TABLE attempts DROP CONSTRAINT attempts_rail_is_known;
ALTER TABLE attempts ADD CONSTRAINT attempts_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay'));
