DROP TABLE presentments, loyalty_showings, loyalty_cards;
DROP FUNCTION fails_luhn;
