DROP TABLE ceremony_custodians;
DROP TABLE ceremonies;
DROP TABLE acknowledgements;
DROP TABLE custodians;
DROP TABLE rotations;
DROP TABLE keys;
DROP FUNCTION keys_moves_as_allowed();
DROP SEQUENCE keys_number_seq;
