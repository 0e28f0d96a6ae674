DROP TABLE item_refunds, order_offers, rail_offers;
DROP TABLE order_baskets;
DROP TRIGGER orders_basket_agrees ON orders;
DROP FUNCTION baskets_must_agree, item_refunds_must_agree, tenders_end_once;
