"""The order in which a transaction takes accounts, watched in the tests' databases.

Whoever books several times in one transaction takes the accounts of each call after those of the call before it, in
the order of ``ledger/README.md``: off the balance sheet, then points, then money, each by code. PostgreSQL would tell
of the contrary only when two transactions met, which is rare in tests and common in shops.
"""

from __future__ import annotations

import psycopg

WATCH = """
CREATE FUNCTION account_turn(code text) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    (CASE WHEN starts_with(code, 'memo:') THEN '0' WHEN starts_with(code, 'liability:points') THEN '1' ELSE '2' END
     || code) COLLATE "C";

-- kopeyka_test.accounts: when the call began, the last account before it, and all that were taken.
CREATE FUNCTION note_accounts(p_codes text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    v_before text[] := string_to_array(nullif(current_setting('kopeyka_test.accounts', true), ''), ' ');
    v_call   text := extract(epoch FROM statement_timestamp())::text;
    v_taken  text[] := coalesce(v_before[3:], '{}');
    v_last   text := coalesce(v_before[2], '-');
    v_new    text[];
BEGIN
    SELECT array_agg(t ORDER BY t) INTO v_new FROM (SELECT account_turn(code) AS t FROM unnest(p_codes) AS code) AS u
     WHERE t <> ALL (v_taken);
    IF v_new IS NULL THEN
        RETURN;
    END IF;
    IF v_before[1] <> v_call THEN
        SELECT max(t) INTO v_last FROM unnest(v_taken) AS t;
    END IF;
    IF v_new[1] < v_last COLLATE "C" THEN
        RAISE EXCEPTION 'account % is taken after %, out of the order of ledger/README.md',
            substr(v_new[1], 2), substr(v_last, 2) USING ERRCODE = 'KP900';
    END IF;
    PERFORM set_config(
        'kopeyka_test.accounts', concat_ws(' ', v_call, v_last, array_to_string(v_taken || v_new, ' ')), true);
END $$;

CREATE FUNCTION watch_account_order() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM note_accounts(ARRAY(SELECT code FROM changed));
    RETURN NULL;
END $$;

ALTER FUNCTION lock_accounts RENAME TO lock_accounts_unwatched;
CREATE FUNCTION lock_accounts(p_book text, p_codes text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM lock_accounts_unwatched(p_book, p_codes);
    PERFORM note_accounts(ARRAY(SELECT code FROM accounts WHERE code = ANY (p_codes)));
END $$;

CREATE TRIGGER accounts_are_taken_in_order AFTER UPDATE ON accounts
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION watch_account_order();

GRANT EXECUTE ON FUNCTION lock_accounts TO kopeyka_app;
"""


def watch(url: str) -> None:
    """Let a database refuse a transaction that takes accounts out of their order."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(WATCH)
