DROP TABLE sad_volatile, seen_sealed_cards, card_sessions;
