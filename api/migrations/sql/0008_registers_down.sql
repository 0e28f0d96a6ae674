DROP VIEW sbp_booked_operations, sbp_operations;
DROP INDEX sbp_payments_paid_at;
DROP TABLE register_differences, register_book_totals, register_check_totals, register_checks, register_lines, registers;
