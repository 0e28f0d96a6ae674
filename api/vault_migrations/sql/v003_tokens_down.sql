DROP TABLE card_exports, card_import_refusals, card_imports;
DROP FUNCTION tokenize_cards, keep_new_cards;
DROP TYPE new_card;
DROP TABLE cards;
DROP TYPE tokenized_card;
DROP FUNCTION card_is_fixed();
DROP FUNCTION card_is_whole();
