DROP TABLE cases, log_reviews, outages, heartbeats, purges, retention_policies;
DROP FUNCTION evidence_only_grows(), a_closed_case_stays();
