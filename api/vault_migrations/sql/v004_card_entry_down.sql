DROP TABLE buyer_cards, sad_volatile, seen_sealed_cards, card_sessions;
