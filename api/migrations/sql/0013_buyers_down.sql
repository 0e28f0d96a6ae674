DROP TABLE plan_decisions, plan_bureau, decision_policies, buyer_consents, buyer_codes, stop_list_lines, buyer_limits, buyers;
DROP FUNCTION buyer_facts_stay;
