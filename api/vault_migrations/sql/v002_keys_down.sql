DROP TABLE rotations;
DROP TABLE keys;
DROP FUNCTION keys_moves_as_allowed();
DROP SEQUENCE keys_number_seq;
