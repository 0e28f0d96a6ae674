DROP TABLE till_session_messages, till_sessions, presentments, loyalty_showings, loyalty_cards;
DROP FUNCTION fails_luhn;
