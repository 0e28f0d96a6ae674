"""What is asked of PostgreSQL about the log: who could change it, and whether anybody has."""

from __future__ import annotations

RIGHTS = (
    "(SELECT coalesce(r.rolname, 'PUBLIC') AS grantee, c.relname AS table_name, x.privilege_type FROM"
    " (SELECT oid, relname, relacl AS acl FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
    " UNION ALL SELECT t.oid, t.relname, a.attacl FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid"
    " WHERE t.relnamespace = 'public'::regnamespace) AS c CROSS JOIN LATERAL aclexplode(c.acl) AS x"
    " LEFT JOIN pg_roles r ON r.oid = x.grantee) AS rights"
)
"""Every right on a table or a column, by whoever given: ``information_schema`` hides those of others."""

_LOG_RIGHTS = (
    "SELECT table_name::text, grantee || ' may ' || privilege_type AS flaw FROM " + RIGHTS + " WHERE table_name"
    " LIKE 'audit\\_%' AND grantee <> 'kopeyka_owner' AND privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')"
)
_UNGUARDED = (
    "SELECT w.name, 'no trigger refuses to change it' FROM (SELECT * FROM unnest(ARRAY['audit_events', 'audit_leaves',"
    " 'audit_checkpoints', 'audit_exports', 'audit_acceptances']) UNION SELECT c.relname FROM pg_inherits i"
    " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('public.audit_events')) AS w(name)"
    " WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE t.tgrelid = to_regclass('public.' || quote_ident(w.name)) AND t.tgenabled = 'A'"
    " AND t.tgtype = 2 + 8 + 16 + 32 AND t.tgqual IS NULL AND t.tgattr = ''"
    " AND p.prosrc ~ '^[[:space:]]*BEGIN[[:space:]]+RAISE EXCEPTION')"
)
"""Tables and months of the log without a statement trigger, always on, before any UPDATE, DELETE and TRUNCATE.

Source: PostgreSQL's catalog/pg_trigger.h: the bits BEFORE, DELETE, UPDATE, TRUNCATE of tgtype.
"""
CHANGEABLE = _LOG_RIGHTS + " UNION ALL " + _UNGUARDED + " ORDER BY 1, 2"
"""Who or what could change the log."""
ALTERED = (
    "SELECT e.id, e.staged_at, CASE WHEN l.idx IS NULL THEN 'not a leaf' ELSE 'other than its leaf' END AS flaw"
    " FROM audit_events e LEFT JOIN audit_leaves l ON l.event_id = e.id"
    " WHERE CASE WHEN l.idx IS NULL THEN e.staged_at < now() - interval '10 minutes'"
    " ELSE l.event_xid <> e.xid OR l.leaf <> e.leaf END OR e.leaf <> sha256('\\x00'::bytea || e.event)"
    " UNION ALL SELECT l.event_id, NULL, 'a leaf without its event' FROM audit_leaves l WHERE l.event_id IS NOT NULL"
    " AND l.idx >= coalesce((SELECT max(size) FROM audit_checkpoints"
    " WHERE signed_at < now() - interval '11 months'), 0)"
    " AND NOT EXISTS (SELECT FROM audit_events e WHERE e.id = l.event_id) ORDER BY 1"
)
"""Events that are not what was sealed. Retention takes none before twelve months: what was sealed since is there."""
