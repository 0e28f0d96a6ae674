DROP TABLE outages, heartbeats, purges, retention_policies;
DROP FUNCTION evidence_only_grows();
