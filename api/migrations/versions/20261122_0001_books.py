"""The books: accounts, postings, holds, days, closing, and the functions that write and read them.

Expand only: the database is empty before. Locks: none that anybody could wait for.
"""

from __future__ import annotations

from api.migrations.sql_files import run_sql, run_sql_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FILES = ("0001_books_tables.sql", "0001_book_entries.sql", "0001_holds.sql", "0001_books_reading.sql")

FIRST_ROWS = """
INSERT INTO books (number, name, created_at) VALUES (1, 'main', now());
INSERT INTO commodities (code, scale, created_at) VALUES ('RUB', 2, now());
"""

CLOCK_AND_RELEASE = """
CREATE TABLE business_clock (
    id             boolean NOT NULL DEFAULT true,
    offset_seconds bigint NOT NULL DEFAULT 0,
    CONSTRAINT business_clock_pkey PRIMARY KEY (id),
    CONSTRAINT business_clock_has_one_row CHECK (id)
);
INSERT INTO business_clock DEFAULT VALUES;
GRANT SELECT, UPDATE ON business_clock TO kopeyka_app;
GRANT SELECT ON business_clock TO kopeyka_sequencer;
GRANT SELECT ON alembic_version TO kopeyka_app, kopeyka_sequencer;  -- readiness compares it with the release
"""

DROP_ALL = """
DROP TABLE business_clock, period_balances, period_closes, day_totals, hold_events, holds, refusals,
           postings, accounts, commodities, books CASCADE;
DROP DOMAIN account_counter, entry_reference, entry_kind CASCADE;
DO $$
DECLARE
    v_made record;
BEGIN
    FOR v_made IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', v_made.name);
    END LOOP;
    FOR v_made IN SELECT oid::regtype AS name FROM pg_type
                   WHERE typnamespace = 'public'::regnamespace AND typtype = 'c'
                     AND typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c') LOOP
        EXECUTE format('DROP TYPE %s CASCADE', v_made.name);
    END LOOP;
END $$;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
"""


def upgrade() -> None:
    for name in FILES:
        run_sql_file(name)
    run_sql(FIRST_ROWS)
    run_sql(CLOCK_AND_RELEASE)


def downgrade() -> None:
    run_sql(DROP_ALL)
