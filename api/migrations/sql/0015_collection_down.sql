DROP TABLE plan_reliefs, plan_disputes, plan_dunning_stages, plan_charges;
DROP FUNCTION plan_charges_end_once();
