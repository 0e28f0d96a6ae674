DROP FUNCTION entries_without_their_leaf, audit_lines, due_audit_leaves;
DROP VIEW audit_entries;
DROP FUNCTION stage_audit_events, drop_audit_events, make_audit_partitions;
DROP TABLE audit_acceptances, audit_exports, audit_checkpoints, audit_leaves, audit_events;
DROP DOMAIN audit_line;
DROP FUNCTION guard_audit_table, audit_log_is_append_only;
DROP SEQUENCE audit_event_numbers;
