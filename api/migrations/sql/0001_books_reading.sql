-- Days, as-of, closing and proofs: everything that reads the books in bulk.

-- Folds what is final (below the horizon of running transactions) into day totals.
-- Returns the postings folded; 0 means that there is nothing to do, or that another folds.
CREATE FUNCTION fold_day_totals(p_book text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_book   books;
    v_below  xid8 := pg_snapshot_xmin(pg_current_snapshot());
    v_cut    xid8;
    v_folded bigint;
BEGIN
    SELECT * INTO v_book FROM books WHERE name = p_book FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND OR v_book.folded_below >= v_below THEN
        RETURN 0;
    END IF;
    -- At most about five thousand entries a call, whole transactions only.
    SELECT xid INTO v_cut FROM postings
     WHERE book = v_book.number AND number = 1 AND xid >= v_book.folded_below AND xid < v_below
     ORDER BY xid OFFSET 5000 LIMIT 1;
    IF v_cut > v_book.folded_below THEN
        v_below := v_cut;
    ELSIF v_cut = v_book.folded_below THEN
        v_below := ((v_cut::text)::numeric + 1)::text::xid8;
    END IF;

    WITH fresh AS (
        SELECT p.debit, p.credit, p.amount, moscow_day(head.happened_at) AS day_on
          FROM postings AS head JOIN postings AS p ON p.book = head.book AND p.entry_id = head.entry_id
         WHERE head.book = v_book.number AND head.number = 1
           AND head.xid >= v_book.folded_below AND head.xid < v_below
    ), folded AS (
        INSERT INTO day_totals AS t (book, account, day_on, debits, credits, postings)
        SELECT v_book.number, account, day_on, sum(d), sum(c), count(*)
          FROM (SELECT debit AS account, day_on, amount AS d, 0 AS c FROM fresh
                UNION ALL SELECT credit, day_on, 0, amount FROM fresh) AS leg
         GROUP BY account, day_on ORDER BY account, day_on
        ON CONFLICT (book, account, day_on) DO UPDATE
           SET debits = t.debits + excluded.debits, credits = t.credits + excluded.credits,
               postings = t.postings + excluded.postings
    )
    SELECT count(*) INTO v_folded FROM fresh;
    UPDATE books SET folded_below = v_below WHERE number = v_book.number;
    RETURN v_folded;
END $$;

-- Legs of one account that day totals do not hold yet.
CREATE FUNCTION unfolded_legs(p_book integer, p_account integer, p_folded_below xid8)
RETURNS TABLE (debits bigint, credits bigint, happened_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT CASE p.debit WHEN p_account THEN p.amount ELSE 0 END,
           CASE p.credit WHEN p_account THEN p.amount ELSE 0 END, head.happened_at
      FROM postings AS head JOIN postings AS p ON p.book = head.book AND p.entry_id = head.entry_id
     WHERE head.book = p_book AND head.number = 1 AND head.xid >= p_folded_below
       AND p_account IN (p.debit, p.credit)
$$;

-- Turnover of an account up to and including an instant of the world's time.
CREATE FUNCTION turnover_happened(p_book integer, p_account integer, p_at timestamptz, OUT debits bigint, OUT credits bigint)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(t.debits), 0)::bigint, coalesce(sum(t.credits), 0)::bigint
      FROM (
        SELECT debits, credits FROM day_totals
         WHERE book = p_book AND account = p_account AND day_on < moscow_day(p_at)
        UNION ALL
        SELECT debits, credits FROM day_totals
         WHERE book = p_book AND account = p_account AND day_on = moscow_day(p_at)
           AND p_at >= ((moscow_day(p_at) + 1)::timestamp AT TIME ZONE 'Europe/Moscow') - interval '1 microsecond'
        UNION ALL
        SELECT CASE p.debit WHEN p_account THEN p.amount ELSE 0 END, CASE p.credit WHEN p_account THEN p.amount ELSE 0 END
          FROM postings AS head JOIN postings AS p ON p.book = head.book AND p.entry_id = head.entry_id
         WHERE head.book = p_book AND head.number = 1 AND p_account IN (p.debit, p.credit)
           AND head.happened_at >= moscow_day(p_at)::timestamp AT TIME ZONE 'Europe/Moscow' AND head.happened_at <= p_at
           AND p_at < ((moscow_day(p_at) + 1)::timestamp AT TIME ZONE 'Europe/Moscow') - interval '1 microsecond'
           AND head.xid < (SELECT folded_below FROM books WHERE number = p_book)
        UNION ALL
        SELECT u.debits, u.credits
          FROM books AS b, unfolded_legs(p_book, p_account, b.folded_below) AS u
         WHERE b.number = p_book AND u.happened_at <= p_at
      ) AS t
$$;

-- Version and balance of an account as the books knew them at an instant: a binary search
-- over the stored versions, because recorded_at never runs backwards within an account.
CREATE FUNCTION balance_recorded(
    p_book integer, p_account integer, p_at timestamptz, OUT version bigint, OUT balance bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_low  bigint := 0;
    v_high bigint;
    v_mid  bigint;
    v_leg  record;
    v_recorded_at timestamptz;
BEGIN
    balance := 0;
    SELECT a.version INTO v_high FROM accounts AS a WHERE a.book = p_book AND a.number = p_account;
    WHILE v_low < v_high LOOP
        v_mid := (v_low + v_high + 1) / 2;
        SELECT entry_id, debit_balance AS balance INTO v_leg FROM postings
         WHERE book = p_book AND debit = p_account AND debit_version = v_mid;
        IF NOT FOUND THEN
            SELECT entry_id, credit_balance AS balance INTO v_leg FROM postings
             WHERE book = p_book AND credit = p_account AND credit_version = v_mid;
        END IF;
        SELECT recorded_at INTO v_recorded_at FROM postings
         WHERE book = p_book AND entry_id = v_leg.entry_id AND number = 1;
        IF v_recorded_at <= p_at THEN
            v_low := v_mid;
            balance := v_leg.balance;
        ELSE
            v_high := v_mid - 1;
        END IF;
    END LOOP;
    version := v_low;
END $$;

-- All accounts with their turnover up to the end of a Moscow day.
CREATE FUNCTION turnovers_through(p_book integer, p_day date)
RETURNS TABLE (account integer, debits bigint, credits bigint, postings bigint) LANGUAGE sql STABLE AS $$
    WITH fresh AS (
        SELECT p.debit, p.credit, p.amount
          FROM books AS b
          JOIN postings AS head ON head.book = b.number AND head.number = 1 AND head.xid >= b.folded_below
          JOIN postings AS p ON p.book = head.book AND p.entry_id = head.entry_id
         WHERE b.number = p_book AND moscow_day(head.happened_at) <= p_day
    )
    SELECT account, sum(d)::bigint, sum(c)::bigint, sum(n)::bigint
      FROM (SELECT account, debits AS d, credits AS c, postings AS n FROM day_totals WHERE book = p_book AND day_on <= p_day
            UNION ALL SELECT debit, amount, 0, 1 FROM fresh
            UNION ALL SELECT credit, 0, amount, 1 FROM fresh) AS leg
     GROUP BY account
$$;

-- Closes every day through p_through: nothing may be dated on or before it any more.
-- Keeps the balances and a SHA-256 over them. Locks: the book alone, after running bookings end.
CREATE FUNCTION close_period(p_book text, p_through date, p_by text, p_now timestamptz)
RETURNS period_closes LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_book   books;
    v_before bigint;
    v_close  period_closes;
BEGIN
    PERFORM pg_advisory_xact_lock(19280, hashtext(p_book));
    SELECT * INTO v_book FROM books WHERE name = p_book FOR NO KEY UPDATE;
    IF v_book.closed_through_on >= p_through THEN
        PERFORM refuse('ledger.period_closed', jsonb_build_object('closed_through_on', v_book.closed_through_on));
    ELSIF p_through >= moscow_day(p_now) THEN
        PERFORM refuse('ledger.period_not_over', jsonb_build_object('closed_through_on', p_through, 'today', moscow_day(p_now)));
    END IF;

    INSERT INTO period_balances (book, closed_through_on, account, debits, credits)
    SELECT v_book.number, p_through, account, debits, credits FROM turnovers_through(v_book.number, p_through);
    SELECT coalesce(sum(postings), 0)::bigint / 2 INTO v_before FROM turnovers_through(v_book.number, p_through);
    INSERT INTO period_closes (book, closed_through_on, closed_at, closed_by, accounts, postings, proof)
    SELECT v_book.number, p_through, p_now, p_by, count(*), v_before,
           sha256(convert_to(coalesce(string_agg(a.code || ' ' || b.debits || ' ' || b.credits, E'\n' ORDER BY a.code), ''), 'UTF8'))
      FROM period_balances AS b JOIN accounts AS a ON a.book = b.book AND a.number = b.account
     WHERE b.book = v_book.number AND b.closed_through_on = p_through
    RETURNING * INTO v_close;
    UPDATE books SET closed_through_on = p_through WHERE number = v_book.number;
    RETURN v_close;
END $$;

-- Opens an account; the same code with the same terms again is the same account.
CREATE FUNCTION open_account(
    p_book text, p_number integer, p_code text, p_commodity text, p_normal_side text,
    p_available_min bigint, p_balance_max bigint, p_opened_at timestamptz, p_metadata jsonb
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_book integer := book_number(p_book);
    v      accounts;
BEGIN
    IF NOT EXISTS (SELECT FROM commodities WHERE code = p_commodity) THEN
        PERFORM refuse('ledger.unknown_commodity', jsonb_build_object('commodity', p_commodity));
    END IF;
    INSERT INTO accounts (book, number, code, commodity, normal_side, available_min, balance_max, opened_at, metadata)
    VALUES (v_book, p_number, p_code, p_commodity, p_normal_side, p_available_min, p_balance_max, p_opened_at, p_metadata)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN true;
    END IF;
    SELECT * INTO v FROM accounts WHERE book = v_book AND code = p_code;
    IF NOT FOUND THEN
        RETURN NULL;    -- the number is taken by another account: try another number
    ELSIF (v.commodity, v.normal_side) IS DISTINCT FROM (p_commodity, p_normal_side)
       OR (v.available_min, v.balance_max) IS DISTINCT FROM (p_available_min, p_balance_max) THEN
        PERFORM refuse('ledger.account_differs', jsonb_build_object('account', p_code));
    END IF;
    RETURN false;
END $$;

-- Closes an account that is at zero and holds nothing.
CREATE FUNCTION close_account(p_book text, p_code text, p_at timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v accounts;
BEGIN
    SELECT * INTO v FROM accounts WHERE book = book_number(p_book) AND code = p_code FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('ledger.unknown_account', jsonb_build_object('account', p_code));
    ELSIF v.debits_posted <> v.credits_posted OR v.debits_held + v.credits_held > 0 THEN
        PERFORM refuse('ledger.account_not_empty', jsonb_build_object('account', p_code));
    ELSIF v.closed_at IS NULL THEN
        UPDATE accounts SET closed_at = p_at WHERE book = v.book AND number = v.number;
    END IF;
END $$;

CREATE FUNCTION open_book(p_name text, p_number integer, p_now timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO books (number, name, created_at) VALUES (p_number, p_name, p_now) ON CONFLICT DO NOTHING;
    IF NOT EXISTS (SELECT FROM books WHERE name = p_name AND number = p_number) THEN
        PERFORM refuse('ledger.book_differs', jsonb_build_object('book', p_name, 'number', p_number));
    END IF;
END $$;

CREATE FUNCTION open_commodity(p_code text, p_scale smallint, p_now timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO commodities (code, scale, created_at) VALUES (p_code, p_scale, p_now) ON CONFLICT DO NOTHING;
    IF NOT EXISTS (SELECT FROM commodities WHERE code = p_code AND scale = p_scale) THEN
        PERFORM refuse('ledger.commodity_differs', jsonb_build_object('commodity', p_code, 'scale', p_scale));
    END IF;
END $$;

-- Every proof of the books that does not hold, one row each; no row means that all hold.
CREATE FUNCTION broken_proofs(p_book integer) RETURNS TABLE (proof text, account text, facts jsonb)
LANGUAGE sql STABLE AS $$
    WITH leg AS (
        SELECT debit AS account, debit_version AS version, debit_balance AS balance, amount AS d, 0::bigint AS c
          FROM postings WHERE book = p_book
        UNION ALL
        SELECT credit, credit_version, credit_balance, 0, amount FROM postings WHERE book = p_book
    ), run AS (
        SELECT leg.*, row_number() OVER w AS place, sum(d - c) OVER w AS net
          FROM leg WINDOW w AS (PARTITION BY account ORDER BY version ROWS UNBOUNDED PRECEDING)
    ), summed AS (
        SELECT a.number, count(r.version) AS legs, coalesce(max(r.version), 0) AS last,
               coalesce(sum(r.d), 0) AS debits, coalesce(sum(r.c), 0) AS credits,
               count(*) FILTER (WHERE r.version <> r.place) AS gaps,
               count(*) FILTER (WHERE r.balance <> r.net * CASE a.normal_side WHEN 'debit' THEN 1 ELSE -1 END) AS wrong
          FROM accounts AS a LEFT JOIN run AS r ON r.account = a.number
         WHERE a.book = p_book GROUP BY a.number
    ), held AS (
        SELECT account, sum(d) AS debits, sum(c) AS credits
          FROM (SELECT debit AS account, amount - amount_posted - amount_released AS d, 0 AS c
                  FROM holds WHERE book = p_book AND state = 'open'
                UNION ALL
                SELECT credit, 0, amount - amount_posted - amount_released
                  FROM holds WHERE book = p_book AND state = 'open') AS h
         GROUP BY account
    )
    SELECT 'trial_balance', NULL, jsonb_build_object('commodity', commodity, 'debits', sum(debits_posted), 'credits', sum(credits_posted))
      FROM accounts WHERE book = p_book GROUP BY commodity HAVING sum(debits_posted) <> sum(credits_posted)
    UNION ALL
    SELECT 'balances_equal_postings', a.code, jsonb_build_object('debits', a.debits_posted, 'credits', a.credits_posted,
               'debits_of_postings', s.debits, 'credits_of_postings', s.credits, 'wrong_balances', s.wrong)
      FROM accounts AS a JOIN summed AS s ON s.number = a.number
     WHERE a.book = p_book AND (a.debits_posted <> s.debits OR a.credits_posted <> s.credits OR s.wrong > 0)
    UNION ALL
    SELECT 'versions_contiguous', a.code, jsonb_build_object('version', a.version, 'postings', s.legs, 'last', s.last, 'gaps', s.gaps)
      FROM accounts AS a JOIN summed AS s ON s.number = a.number
     WHERE a.book = p_book AND (a.version <> s.legs OR a.version <> s.last OR s.gaps > 0)
    UNION ALL
    SELECT 'holds_equal_held', a.code, jsonb_build_object('debits_held', a.debits_held, 'credits_held', a.credits_held)
      FROM accounts AS a LEFT JOIN held AS h ON h.account = a.number
     WHERE a.book = p_book AND (a.debits_held <> coalesce(h.debits, 0) OR a.credits_held <> coalesce(h.credits, 0))
    UNION ALL
    SELECT 'days_equal_postings', a.code, jsonb_build_object('debits', t.debits, 'credits', t.credits,
               'debits_of_postings', s.debits, 'credits_of_postings', s.credits)
      FROM turnovers_through(p_book, 'infinity') AS t
      JOIN accounts AS a ON a.book = p_book AND a.number = t.account
      JOIN summed AS s ON s.number = t.account
     WHERE t.debits <> s.debits OR t.credits <> s.credits
    UNION ALL
    SELECT 'in_transit_zero', NULL, jsonb_build_object('commodity', commodity, 'net', sum(debits_posted - credits_posted))
      FROM accounts WHERE starts_with(code, 'asset:in_transit:') GROUP BY commodity HAVING sum(debits_posted - credits_posted) <> 0
    UNION ALL
    SELECT 'entries_whole', NULL, jsonb_build_object('entry_id', entry_id, 'postings', count(*), 'last', max(number))
      FROM postings WHERE book = p_book GROUP BY entry_id HAVING count(*) <> max(number) OR min(number) <> 1
$$;

-- Who may do what. The application reads, and writes by calling functions.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT SELECT ON books, commodities, accounts, postings, refusals, holds, hold_events, day_totals, period_closes, period_balances
   TO kopeyka_app, kopeyka_sequencer;
GRANT EXECUTE ON FUNCTION
    book_entries, book_entry, lock_accounts, place_hold, post_hold, release_hold, fold_day_totals, close_period, open_account,
    close_account, open_book, open_commodity, moscow_day, unfolded_legs, turnover_happened, turnovers_through, balance_recorded, broken_proofs
    TO kopeyka_app;
