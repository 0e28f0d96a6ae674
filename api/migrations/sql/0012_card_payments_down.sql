ALTER TABLE tariffs DISABLE TRIGGER tariffs_append_only;
DELETE FROM tariffs WHERE rail = 'card';
ALTER TABLE tariffs ENABLE TRIGGER tariffs_append_only;
DROP TABLE card_refunds;
DROP TABLE card_payments;
DROP FUNCTION card_refunds_must_agree, card_money_moves_once;
ALTER TABLE attempts DROP CONSTRAINT attempts_rail_is_known;
ALTER TABLE attempts ADD CONSTRAINT attempts_rail_is_known CHECK (rail IN ('sbp'));
