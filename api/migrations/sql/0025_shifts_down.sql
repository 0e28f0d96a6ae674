DROP TABLE shift_differences, shift_operations, shift_turns, shifts;
DROP FUNCTION shift_operations_keep_out();
DROP FUNCTION shifts_follow_one_another();
DROP FUNCTION shifts_are_final();
