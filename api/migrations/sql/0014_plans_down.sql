DROP TABLE plan_movements, installments, installment_plans, operator_licences, installment_merchant_terms, installment_products;
DROP FUNCTION plan_movements_are_facts;
