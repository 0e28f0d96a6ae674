ALTER TABLE tariffs DISABLE TRIGGER tariffs_append_only;
DELETE FROM tariffs WHERE tariff_group = 'operator';
ALTER TABLE tariffs ENABLE TRIGGER tariffs_append_only;
ALTER TABLE plan_decisions DROP CONSTRAINT plan_decisions_plan_fkey;
ALTER TABLE buyer_consents DROP CONSTRAINT buyer_consents_plan_fkey;
DROP TABLE debt_sale_plans, debt_sales, plan_return_urls, plan_bank_returns, plan_credit_refunds, plan_refunds, plan_first_payments;
DROP TABLE plan_card_changes, plan_loss_rates, plan_setbacks, plan_nights, plan_books, plan_movements, installments, installment_plans, plan_operator,
    operator_licences, installment_merchant_terms, installment_products;
DROP FUNCTION plan_movements_are_facts;
