-- The only writer of the books: book_entries() at the end of this file, and its parts.
-- book_entry() is its short road.

-- Says no: SQLSTATE KP001, the code as the message, the facts as the detail.
CREATE FUNCTION refuse(p_code text, p_facts jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'KP001', MESSAGE = p_code, DETAIL = p_facts::text;
END $$;

-- Why one UPDATE of accounts did not reach all of them: the first account that is
-- unknown, closed, or of another commodity.
CREATE FUNCTION refuse_account(
    p_book integer, p_codes text[], p_debit integer[], p_credit integer[], p_commodity text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_leg     record;
    v_account accounts;
BEGIN
    FOR v_leg IN
        SELECT p_codes[u.k] AS code, u.commodity
          FROM (SELECT * FROM unnest(p_debit, p_commodity) AS d(k, commodity)
                UNION SELECT * FROM unnest(p_credit, p_commodity) AS c(k, commodity)) AS u
         ORDER BY 1, 2
    LOOP
        SELECT * INTO v_account FROM accounts WHERE book = p_book AND code = v_leg.code;
        IF NOT FOUND THEN
            PERFORM refuse('ledger.unknown_account', jsonb_build_object('account', v_leg.code));
        ELSIF v_account.closed_at IS NOT NULL THEN
            PERFORM refuse('ledger.account_closed', jsonb_build_object('account', v_leg.code));
        ELSIF v_account.commodity <> v_leg.commodity THEN
            PERFORM refuse('ledger.wrong_commodity', jsonb_build_object(
                'account', v_leg.code, 'commodity', v_leg.commodity, 'expected', v_account.commodity));
        END IF;
    END LOOP;
    RAISE EXCEPTION 'accounts were missed for no reason that we know';
END $$;

-- Says which limit an account would pass, with the figure that passes it.
CREATE FUNCTION refuse_beyond_limits(
    p_code text, p_available_after bigint, p_available_min bigint, p_balance_after bigint, p_balance_max bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_available_after < p_available_min THEN
        PERFORM refuse('ledger.overdrawn', jsonb_build_object('account', p_code,
            'available_after', p_available_after, 'available_min', p_available_min));
    ELSIF p_balance_after > p_balance_max THEN
        PERFORM refuse('ledger.over_ceiling', jsonb_build_object('account', p_code,
            'balance_after', p_balance_after, 'balance_max', p_balance_max));
    END IF;
END $$;

-- The one order in which accounts are locked: those off the balance sheet first, then by code. Who books points, or
-- what a bank holds, and then money, so takes them in this order too. ledger/README.md.
CREATE FUNCTION lock_turn(p_code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (CASE WHEN starts_with(p_code, 'memo:') THEN ' ' ELSE '' END || p_code) COLLATE "C";

-- Takes accounts at once, in their one order, that several calls of one transaction will move one after another.
-- One that is not open yet is passed over.
CREATE FUNCTION lock_accounts(p_book text, p_codes text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM 1 FROM books AS b JOIN accounts AS a ON a.book = b.number
      WHERE b.name = p_book AND a.code = ANY (p_codes) ORDER BY lock_turn(a.code) FOR NO KEY UPDATE OF a;
END $$;

-- Books all the given entries or raises. Locks the accounts in their one order.
--
-- Arrays by entry: ids … metadata. Arrays by posting: entry (from 1), number, debit and
-- credit (positions in p_codes, which is sorted and has no repeats), commodity, amount.
-- Add up what each account gets, move the counters, count versions and balances posting by posting,
-- write the rows. Plain loops over arrays: sets would have to be sorted and set up anew for each batch.
CREATE FUNCTION book_all(
    p_book integer, p_closed_through_on date,
    p_ids uuid[], p_references text[], p_kinds text[], p_hashes uuid[], p_happened timestamptz[], p_metadata text[],
    p_codes text[],
    p_entry integer[], p_number smallint[], p_debit integer[], p_credit integer[], p_commodity text[], p_amount bigint[],
    OUT recorded_at timestamptz,
    OUT debit_versions bigint[], OUT debit_balances bigint[], OUT credit_versions bigint[], OUT credit_balances bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_postings  integer := cardinality(p_amount);
    v_accounts  integer := cardinality(p_codes);
    v_debits    bigint[] := array_fill(0::bigint, ARRAY[v_accounts]);
    v_credits   bigint[] := v_debits;
    v_legs      bigint[] := v_debits;
    v_commodity text[] := array_fill(NULL::text, ARRAY[v_accounts]);
    v_number integer[]; v_version bigint[]; v_balance bigint[]; v_is_debit boolean[];
    v_held_out bigint[]; v_held_in bigint[]; v_min bigint[]; v_max bigint[];
    v_reached   integer;
    v_any_limits boolean;
    v_first     integer := 1;
    v_oldest    timestamptz;
    v_stands    bigint;
    d integer; c integer; n integer; a bigint;
BEGIN
    IF p_closed_through_on IS NOT NULL THEN
        SELECT min(h) INTO v_oldest FROM unnest(p_happened) AS h;
        IF moscow_day(v_oldest) <= p_closed_through_on THEN
            PERFORM refuse('ledger.period_closed', jsonb_build_object(
                'happened_at', v_oldest, 'closed_through_on', p_closed_through_on));
        END IF;
    END IF;

    FOR i IN 1 .. v_postings LOOP
        d := p_debit[i];
        c := p_credit[i];
        v_debits[d] := v_debits[d] + p_amount[i];
        v_credits[c] := v_credits[c] + p_amount[i];
        v_legs[d] := v_legs[d] + 1;
        v_legs[c] := v_legs[c] + 1;
        IF v_commodity[d] <> p_commodity[i] OR v_commodity[c] <> p_commodity[i] THEN
            PERFORM refuse_account(p_book, p_codes, p_debit, p_credit, p_commodity);
        END IF;
        v_commodity[d] := p_commodity[i];
        v_commodity[c] := p_commodity[i];
    END LOOP;

    -- The UPDATE goes by code, by the index or by the array; what is off the balance sheet would come last.
    IF starts_with(p_codes[v_accounts], 'memo:') AND NOT starts_with(p_codes[1], 'memo:') THEN
        PERFORM 1 FROM accounts WHERE book = p_book AND code = ANY (p_codes) ORDER BY lock_turn(code)
           FOR NO KEY UPDATE;
    END IF;
    WITH moved AS (
        UPDATE accounts AS a
           SET debits_posted = a.debits_posted + l.debits,
               credits_posted = a.credits_posted + l.credits,
               version = a.version + l.legs
          FROM unnest(p_codes, v_debits, v_credits, v_legs, v_commodity) WITH ORDINALITY
               AS l (code, debits, credits, legs, commodity, k)
         WHERE a.book = p_book AND a.code = l.code AND a.closed_at IS NULL AND a.commodity = l.commodity
        RETURNING l.k, a.number, a.version - l.legs AS version, a.normal_side = 'debit' AS is_debit,
                  a.debits_posted - l.debits - a.credits_posted + l.credits AS balance,
                  CASE a.normal_side WHEN 'debit' THEN a.credits_held ELSE a.debits_held END::bigint AS held_out,
                  CASE a.normal_side WHEN 'debit' THEN a.debits_held ELSE a.credits_held END::bigint AS held_in,
                  a.available_min, a.balance_max
    )
    SELECT array_agg(number ORDER BY k), array_agg(version ORDER BY k), array_agg(balance ORDER BY k),
           array_agg(is_debit ORDER BY k), array_agg(held_out ORDER BY k), array_agg(held_in ORDER BY k),
           array_agg(available_min ORDER BY k), array_agg(balance_max ORDER BY k), count(*),
           bool_or(available_min IS NOT NULL OR balance_max IS NOT NULL)
      INTO v_number, v_version, v_balance, v_is_debit, v_held_out, v_held_in, v_min, v_max, v_reached, v_any_limits
      FROM moved;
    IF v_reached <> v_accounts THEN
        PERFORM refuse_account(p_book, p_codes, p_debit, p_credit, p_commodity);
    END IF;

    recorded_at := clock_timestamp();

    debit_versions := array_fill(0::bigint, ARRAY[v_postings]);
    debit_balances := debit_versions;
    credit_versions := debit_versions;
    credit_balances := debit_versions;
    FOR i IN 1 .. v_postings LOOP
        d := p_debit[i];
        c := p_credit[i];
        a := p_amount[i];
        v_version[d] := v_version[d] + 1;
        v_version[c] := v_version[c] + 1;
        v_balance[d] := v_balance[d] + a;
        v_balance[c] := v_balance[c] - a;
        debit_versions[i] := v_version[d];
        credit_versions[i] := v_version[c];
        debit_balances[i] := CASE WHEN v_is_debit[d] THEN v_balance[d] ELSE -v_balance[d] END;
        credit_balances[i] := CASE WHEN v_is_debit[c] THEN v_balance[c] ELSE -v_balance[c] END;
        CONTINUE WHEN NOT v_any_limits OR p_entry[i + 1] = p_entry[i];
        FOR j IN v_first .. i LOOP          -- an entry keeps the limits when all of it is booked
            FOREACH n IN ARRAY ARRAY[p_debit[j], p_credit[j]] LOOP
                CONTINUE WHEN v_min[n] IS NULL AND v_max[n] IS NULL;
                v_stands := CASE WHEN v_is_debit[n] THEN v_balance[n] ELSE -v_balance[n] END;
                IF v_stands - v_held_out[n] < v_min[n] OR v_stands + v_held_in[n] > v_max[n] THEN
                    PERFORM refuse_beyond_limits(
                        p_codes[n], v_stands - v_held_out[n], v_min[n], v_stands + v_held_in[n], v_max[n]);
                END IF;
            END LOOP;
        END LOOP;
        v_first := i + 1;
    END LOOP;

    INSERT INTO postings (
        entry_id, amount, debit_version, debit_balance, credit_version, credit_balance,
        happened_at, recorded_at, xid, book, debit, credit, number, commodity,
        body_hash, reference, kind, metadata)
    SELECT p_ids[e], amount, debit_version, debit_balance, credit_version, credit_balance,
           CASE WHEN number = 1 THEN p_happened[e] END,
           CASE WHEN number = 1 THEN book_all.recorded_at END,
           CASE WHEN number = 1 THEN pg_current_xact_id() END,
           p_book, v_number[debit], v_number[credit], number, commodity,
           CASE WHEN number = 1 THEN p_hashes[e] END,
           CASE WHEN number = 1 THEN p_references[e] END,
           CASE WHEN number = 1 THEN p_kinds[e] END,
           CASE WHEN number = 1 THEN p_metadata[e]::jsonb END
      FROM unnest(p_entry, p_number, p_debit, p_credit, p_commodity, p_amount,
                  debit_versions, debit_balances, credit_versions, credit_balances)
           AS u (e, number, debit, credit, commodity, amount,
                 debit_version, debit_balance, credit_version, credit_balance);
END $$;

-- The short road of one entry of one posting, most of what a quiet day asks for: two UPDATEs and one
-- INSERT, and no way to say no but to raise. Whoever calls it asks book_entries() why.
-- Locks: as book_entries().
CREATE FUNCTION book_entry(
    p_book text, p_id uuid, p_reference text, p_kind text, p_hash uuid, p_happened timestamptz, p_metadata text,
    p_debit text, p_credit text, p_commodity text, p_amount bigint,
    OUT recorded_at timestamptz, OUT debit_version bigint, OUT debit_balance bigint,
    OUT credit_version bigint, OUT credit_balance bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    v_book        smallint;
    v_closed      date;
    v_was_refused boolean;
    v_debit       integer;
    v_credit      integer;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(19280, hashtext(p_book));
    SELECT number, closed_through_on,
           EXISTS (SELECT FROM refusals AS r WHERE r.book = books.number AND r.reference = p_reference)
      INTO v_book, v_closed, v_was_refused FROM books WHERE name = p_book;
    IF v_was_refused OR moscow_day(p_happened) <= v_closed THEN
        RAISE EXCEPTION USING ERRCODE = 'KP002', MESSAGE = 'not by the short road';
    END IF;

    FOR turn IN 1 .. 2 LOOP
        IF (turn = 1) = (lock_turn(p_debit) < lock_turn(p_credit)) THEN
            UPDATE accounts AS a SET debits_posted = a.debits_posted + p_amount, version = a.version + 1
             WHERE a.book = v_book AND a.code = p_debit AND a.closed_at IS NULL AND a.commodity = p_commodity
            RETURNING a.number, a.version, CASE a.normal_side
                WHEN 'debit' THEN a.debits_posted - a.credits_posted ELSE a.credits_posted - a.debits_posted END
                INTO v_debit, debit_version, debit_balance;
        ELSE
            UPDATE accounts AS a SET credits_posted = a.credits_posted + p_amount, version = a.version + 1
             WHERE a.book = v_book AND a.code = p_credit AND a.closed_at IS NULL AND a.commodity = p_commodity
            RETURNING a.number, a.version, CASE a.normal_side
                WHEN 'debit' THEN a.debits_posted - a.credits_posted ELSE a.credits_posted - a.debits_posted END
                INTO v_credit, credit_version, credit_balance;
        END IF;
    END LOOP;
    IF v_debit IS NULL OR v_credit IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'KP002', MESSAGE = 'not by the short road';
    END IF;

    recorded_at := clock_timestamp();
    INSERT INTO postings (
        entry_id, amount, debit_version, debit_balance, credit_version, credit_balance,
        happened_at, recorded_at, xid, book, debit, credit, number, commodity, body_hash, reference, kind, metadata)
    VALUES (p_id, p_amount, debit_version, debit_balance, credit_version, credit_balance,
        p_happened, book_entry.recorded_at, pg_current_xact_id(), v_book, v_debit, v_credit, 1, p_commodity,
        p_hash, p_reference, p_kind, p_metadata::jsonb);
END $$;

-- A batch as one value, so that the slow road below can cut it.
CREATE TYPE entry_batch AS (
    ids uuid[], refs text[], kinds text[], hashes uuid[], happened timestamptz[], metadata text[], chains integer[],
    codes text[],
    entry integer[], number smallint[], debit integer[], credit integer[], commodity text[], amount bigint[],
    cond_entry integer[], cond_account text[], cond_if_version bigint[], cond_min_available bigint[]
);

-- One answer for a run of entries that met the same fate. Arrays of versions and balances
-- are by posting, in order.
CREATE TYPE booked_range AS (
    first_entry integer, last_entry integer, verdict text, recorded_at timestamptz, entry_ids uuid[],
    code text, facts jsonb,
    debit_versions bigint[], debit_balances bigint[], credit_versions bigint[], credit_balances bigint[]
);

-- Entries p_lo to p_hi of a batch, renumbered from 1, with only the accounts they touch.
CREATE FUNCTION cut_batch(p entry_batch, p_lo integer, p_hi integer) RETURNS entry_batch LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v      entry_batch;
    v_from integer := array_position(p.entry, p_lo);
    v_to   integer := coalesce(array_position(p.entry, p_hi + 1) - 1, cardinality(p.entry));
    v_used integer[];
    v_new  integer[] := array_fill(NULL::integer, ARRAY[cardinality(p.codes)]);
BEGIN
    v.ids := p.ids[p_lo:p_hi];
    v.refs := p.refs[p_lo:p_hi];
    v.kinds := p.kinds[p_lo:p_hi];
    v.hashes := p.hashes[p_lo:p_hi];
    v.happened := p.happened[p_lo:p_hi];
    v.metadata := p.metadata[p_lo:p_hi];
    v.chains := p.chains[p_lo:p_hi];
    v.number := p.number[v_from:v_to];
    v.commodity := p.commodity[v_from:v_to];
    v.amount := p.amount[v_from:v_to];

    SELECT array_agg(DISTINCT k ORDER BY k) INTO v_used
      FROM unnest(p.debit[v_from:v_to] || p.credit[v_from:v_to]) AS k;
    FOR i IN 1 .. cardinality(v_used) LOOP
        v_new[v_used[i]] := i;
    END LOOP;
    SELECT array_agg(p.codes[k] ORDER BY k) INTO v.codes FROM unnest(v_used) AS k;
    SELECT array_agg(e - p_lo + 1 ORDER BY ord), array_agg(v_new[d] ORDER BY ord), array_agg(v_new[c] ORDER BY ord)
      INTO v.entry, v.debit, v.credit
      FROM unnest(p.entry[v_from:v_to], p.debit[v_from:v_to], p.credit[v_from:v_to]) WITH ORDINALITY AS u(e, d, c, ord);

    SELECT coalesce(array_agg(e - p_lo + 1), '{}'), coalesce(array_agg(a), '{}'),
           coalesce(array_agg(i), '{}'), coalesce(array_agg(m), '{}')
      INTO v.cond_entry, v.cond_account, v.cond_if_version, v.cond_min_available
      FROM unnest(p.cond_entry, p.cond_account, p.cond_if_version, p.cond_min_available) AS u(e, a, i, m)
     WHERE e BETWEEN p_lo AND p_hi;
    RETURN v;
END $$;

-- What the books already say about the reference of one entry, or nothing.
CREATE FUNCTION known_entry(p_book integer, p_reference text, p_hash uuid, p_number integer)
RETURNS SETOF booked_range LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_head    postings;
    v_refusal refusals;
BEGIN
    SELECT * INTO v_head FROM postings WHERE book = p_book AND reference = p_reference AND number = 1;
    IF FOUND AND v_head.body_hash = p_hash THEN
        RETURN QUERY
        SELECT p_number, p_number, 'replayed', v_head.recorded_at, ARRAY[v_head.entry_id], NULL::text, NULL::jsonb,
               array_agg(debit_version ORDER BY number), array_agg(debit_balance ORDER BY number),
               array_agg(credit_version ORDER BY number), array_agg(credit_balance ORDER BY number)
          FROM postings WHERE book = p_book AND entry_id = v_head.entry_id;
        RETURN;
    ELSIF FOUND THEN
        RETURN NEXT (p_number, p_number, 'refused', v_head.recorded_at, ARRAY[v_head.entry_id],
            'ledger.reference_reused', jsonb_build_object('reference', p_reference,
                'body_hash', p_hash, 'first_body_hash', v_head.body_hash), NULL, NULL, NULL, NULL)::booked_range;
        RETURN;
    END IF;

    SELECT * INTO v_refusal FROM refusals WHERE book = p_book AND reference = p_reference;
    IF FOUND AND v_refusal.body_hash = p_hash THEN
        RETURN NEXT (p_number, p_number, 'refused', v_refusal.recorded_at, ARRAY[v_refusal.entry_id],
            v_refusal.code, v_refusal.facts, NULL, NULL, NULL, NULL)::booked_range;
    ELSIF FOUND THEN
        RETURN NEXT (p_number, p_number, 'refused', v_refusal.recorded_at, ARRAY[v_refusal.entry_id],
            'ledger.reference_reused', jsonb_build_object('reference', p_reference,
                'body_hash', p_hash, 'first_body_hash', v_refusal.body_hash), NULL, NULL, NULL, NULL)::booked_range;
    END IF;
END $$;

-- The limits of the accounts of one entry, said with figures. The CHECKs of the table
-- hold the same truth without them. The accounts are locked by the caller.
CREATE FUNCTION refuse_limit(p_book integer, p entry_batch) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_bad record;
BEGIN
    SELECT a.code, a.available_min, a.balance_max,
           CASE a.normal_side WHEN 'debit' THEN debits_posted - credits_posted + net - credits_held
                              ELSE credits_posted - debits_posted - net - debits_held END AS available_after,
           CASE a.normal_side WHEN 'debit' THEN debits_posted - credits_posted + net + debits_held
                              ELSE credits_posted - debits_posted - net + credits_held END AS balance_after
      INTO v_bad
      FROM (SELECT k, sum(amount) AS net
              FROM (SELECT * FROM unnest(p.debit, p.amount) AS d(k, amount)
                    UNION ALL SELECT k, -amount FROM unnest(p.credit, p.amount) AS c(k, amount)) AS leg
             GROUP BY k) AS moved
      JOIN accounts AS a ON a.book = p_book AND a.code = p.codes[moved.k]
     WHERE available_min > CASE a.normal_side WHEN 'debit' THEN debits_posted - credits_posted + net - credits_held
                                              ELSE credits_posted - debits_posted - net - debits_held END
        OR balance_max < CASE a.normal_side WHEN 'debit' THEN debits_posted - credits_posted + net + debits_held
                                            ELSE credits_posted - debits_posted - net + credits_held END
     ORDER BY a.code LIMIT 1;
    IF FOUND AND v_bad.available_after < v_bad.available_min THEN
        PERFORM refuse('ledger.overdrawn', jsonb_build_object('account', v_bad.code,
            'available_after', v_bad.available_after, 'available_min', v_bad.available_min));
    ELSIF FOUND THEN
        PERFORM refuse('ledger.over_ceiling', jsonb_build_object('account', v_bad.code,
            'balance_after', v_bad.balance_after, 'balance_max', v_bad.balance_max));
    END IF;
END $$;

-- Books the entries of one chain one after another, with their conditions, or raises.
CREATE FUNCTION book_in_turn(p_book integer, p_closed_through_on date, p entry_batch, p_offset integer)
RETURNS SETOF booked_range LANGUAGE plpgsql AS $$
DECLARE
    v_one    entry_batch;
    v_done   record;
    v_bad    record;
    v_code   text;
    v_detail text;
BEGIN
    PERFORM 1 FROM accounts WHERE book = p_book AND code = ANY (p.codes || p.cond_account) ORDER BY lock_turn(code)
       FOR NO KEY UPDATE;
    FOR i IN 1 .. cardinality(p.ids) LOOP
        v_one := cut_batch(p, i, i);
        SELECT u.account, u.if_version, a.version INTO v_bad
          FROM unnest(v_one.cond_account, v_one.cond_if_version) AS u(account, if_version)
          LEFT JOIN accounts AS a ON a.book = p_book AND a.code = u.account
         WHERE u.if_version IS NOT NULL AND a.version IS DISTINCT FROM u.if_version LIMIT 1;
        IF FOUND THEN
            PERFORM refuse('ledger.version_changed', jsonb_build_object(
                'account', v_bad.account, 'if_version', v_bad.if_version, 'version', v_bad.version, 'entry', i));
        END IF;
        BEGIN
            PERFORM refuse_limit(p_book, v_one);
            v_done := book_all(p_book, p_closed_through_on,
                v_one.ids, v_one.refs, v_one.kinds, v_one.hashes, v_one.happened, v_one.metadata,
                v_one.codes, v_one.entry, v_one.number, v_one.debit, v_one.credit, v_one.commodity, v_one.amount);
        EXCEPTION WHEN SQLSTATE 'KP001' THEN
            GET STACKED DIAGNOSTICS v_code = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
            PERFORM refuse(v_code, v_detail::jsonb || jsonb_build_object('entry', i));
        END;
        SELECT u.account, u.min_available, a.available INTO v_bad
          FROM unnest(v_one.cond_account, v_one.cond_min_available) AS u(account, min_available)
          LEFT JOIN (SELECT code, CASE normal_side
                         WHEN 'debit' THEN debits_posted - credits_posted - credits_held
                         ELSE credits_posted - debits_posted - debits_held END AS available
                       FROM accounts WHERE book = p_book AND code = ANY (v_one.cond_account)) AS a ON a.code = u.account
         WHERE u.min_available IS NOT NULL AND (a.available < u.min_available) IS NOT FALSE LIMIT 1;
        IF FOUND THEN
            PERFORM refuse('ledger.available_too_low', jsonb_build_object('account', v_bad.account,
                'available_after', v_bad.available, 'min_available_after', v_bad.min_available, 'entry', i));
        END IF;
        RETURN NEXT (p_offset + i, p_offset + i, 'booked', v_done.recorded_at, v_one.ids, NULL, NULL,
            v_done.debit_versions, v_done.debit_balances, v_done.credit_versions, v_done.credit_balances)::booked_range;
    END LOOP;
END $$;

-- Books one chain or says why not. Refusals are remembered by reference.
CREATE FUNCTION book_chain(p_book integer, p_closed_through_on date, p entry_batch, p_offset integer)
RETURNS SETOF booked_range LANGUAGE plpgsql AS $$
DECLARE
    v_entries integer := cardinality(p.ids);
    v_known   booked_range[];
    v_code    text;
    v_facts   jsonb;
    v_detail  text;
    v_where   text;
BEGIN
    FOR attempt IN 1 .. 3 LOOP
        IF v_entries > (SELECT count(DISTINCT r) FROM unnest(p.refs) AS r) THEN
            v_code := 'ledger.reference_reused';    -- within the chain itself
            SELECT jsonb_build_object('reference', min(r)) INTO v_facts
              FROM (SELECT r FROM unnest(p.refs) AS r GROUP BY r HAVING count(*) > 1) AS twice;
            EXIT;
        END IF;

        SELECT array_agg(k ORDER BY k.first_entry) INTO v_known
          FROM generate_series(1, v_entries) AS i, known_entry(p_book, p.refs[i], p.hashes[i], p_offset + i) AS k;
        IF cardinality(v_known) = v_entries THEN
            RETURN QUERY SELECT * FROM unnest(v_known);
            RETURN;
        ELSIF v_known IS NOT NULL THEN
            v_code := 'ledger.linked_entry_known';
            v_facts := jsonb_build_object('reference', p.refs[(v_known[1]).first_entry - p_offset]);
            EXIT;
        END IF;

        BEGIN
            RETURN QUERY SELECT * FROM book_in_turn(p_book, p_closed_through_on, p, p_offset);
            RETURN;
        EXCEPTION
            WHEN SQLSTATE 'KP001' THEN
                GET STACKED DIAGNOSTICS v_code = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
                v_facts := v_detail::jsonb;
                EXIT;
            WHEN numeric_value_out_of_range THEN
                v_code := 'ledger.amount_overflow';
                v_facts := jsonb_build_object('amount_max', 9223372036854775807);
                EXIT;
            WHEN unique_violation THEN
                GET STACKED DIAGNOSTICS v_where = CONSTRAINT_NAME;
                IF v_where = 'postings_pkey' THEN
                    v_code := 'ledger.entry_id_reused';
                    SELECT jsonb_build_object('entry_id', entry_id, 'entry', array_position(p.ids, entry_id)) INTO v_facts
                      FROM postings WHERE book = p_book AND number = 1 AND entry_id = ANY (p.ids) LIMIT 1;
                    EXIT;
                ELSIF v_where = 'postings_reverses' THEN
                    v_code := 'ledger.already_reversed';
                    SELECT jsonb_build_object('entry_id', metadata ->> 'reverses', 'reversal_id', entry_id) INTO v_facts
                      FROM postings WHERE book = p_book AND kind = 'reversal' AND number = 1
                       AND metadata ->> 'reverses' = ANY (SELECT m::jsonb ->> 'reverses' FROM unnest(p.metadata) AS m);
                    EXIT;
                ELSIF v_where <> 'postings_reference' OR attempt = 3 THEN
                    RAISE;
                END IF;
        END;
    END LOOP;

    RETURN QUERY
    WITH no AS (
        SELECT i, CASE WHEN i = coalesce((v_facts ->> 'entry')::integer, 1) OR v_entries = 1 THEN v_code
                       ELSE 'ledger.linked_entry_refused' END AS code
          FROM generate_series(1, v_entries) AS i
    ), remembered AS (
        INSERT INTO refusals (book, reference, entry_id, body_hash, code, facts, recorded_at)
        SELECT p_book, p.refs[i], p.ids[i], p.hashes[i], no.code, v_facts, clock_timestamp() FROM no
        ON CONFLICT DO NOTHING
    )
    SELECT p_offset + i, p_offset + i, 'refused', clock_timestamp(), ARRAY[p.ids[i]], no.code, v_facts,
           NULL::bigint[], NULL::bigint[], NULL::bigint[], NULL::bigint[]
      FROM no ORDER BY i;
END $$;

-- The slow road: halve the batch at the edge of a chain until what is good is booked and
-- what is bad is one chain with its reason. Order is kept.
CREATE FUNCTION book_range(p_book integer, p_closed_through_on date, p entry_batch, p_offset integer, p_tried boolean)
RETURNS SETOF booked_range LANGUAGE plpgsql AS $$
DECLARE
    v_entries integer := cardinality(p.ids);
    v_middle  integer := (v_entries + 1) / 2;
    v_done    record;
BEGIN
    IF p.chains[1] = p.chains[v_entries] THEN
        RETURN QUERY SELECT * FROM book_chain(p_book, p_closed_through_on, p, p_offset);
        RETURN;
    END IF;

    IF NOT p_tried AND cardinality(p.cond_entry) = 0
       AND NOT EXISTS (SELECT FROM refusals WHERE book = p_book AND reference = ANY (p.refs)) THEN
        BEGIN
            v_done := book_all(p_book, p_closed_through_on,
                p.ids, p.refs, p.kinds, p.hashes, p.happened, p.metadata,
                p.codes, p.entry, p.number, p.debit, p.credit, p.commodity, p.amount);
            RETURN NEXT (p_offset + 1, p_offset + v_entries, 'booked', v_done.recorded_at, p.ids, NULL, NULL,
                v_done.debit_versions, v_done.debit_balances, v_done.credit_versions, v_done.credit_balances)::booked_range;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'KP001' OR check_violation OR unique_violation OR numeric_value_out_of_range THEN
            NULL;
        END;
    END IF;

    WHILE v_middle < v_entries AND p.chains[v_middle] = p.chains[v_middle + 1] LOOP
        v_middle := v_middle + 1;
    END LOOP;
    IF v_middle = v_entries THEN
        v_middle := array_position(p.chains, p.chains[v_entries]) - 1;
    END IF;
    RETURN QUERY SELECT * FROM book_range(p_book, p_closed_through_on, cut_batch(p, 1, v_middle), p_offset, false);
    RETURN QUERY SELECT * FROM book_range(p_book, p_closed_through_on,
        cut_batch(p, v_middle + 1, v_entries), p_offset + v_middle, false);
END $$;

-- The only writer of the books. Takes one entry or thousands; answers for each.
-- Locks: the book shared (a period close takes it alone), then accounts in their one order.
CREATE FUNCTION book_entries(
    p_book text,
    p_ids uuid[], p_references text[], p_kinds text[], p_hashes uuid[], p_happened timestamptz[], p_metadata text[],
    p_chains integer[], p_codes text[],
    p_entry integer[], p_number smallint[], p_debit integer[], p_credit integer[], p_commodity text[], p_amount bigint[],
    p_cond_entry integer[], p_cond_account text[], p_cond_if_version bigint[], p_cond_min_available bigint[]
) RETURNS SETOF booked_range
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_book books;
    v_done record;
    v_one  record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(19280, hashtext(p_book));
    SELECT * INTO v_book FROM books WHERE name = p_book;
    IF NOT FOUND THEN
        PERFORM refuse('ledger.unknown_book', jsonb_build_object('book', p_book));
    END IF;

    IF cardinality(p_amount) = 1 AND cardinality(p_cond_entry) = 0 THEN
        BEGIN
            v_one := book_entry(p_book, p_ids[1], p_references[1], p_kinds[1], p_hashes[1], p_happened[1], p_metadata[1],
                p_codes[p_debit[1]], p_codes[p_credit[1]], p_commodity[1], p_amount[1]);
            RETURN NEXT (1, 1, 'booked', v_one.recorded_at, p_ids, NULL, NULL,
                ARRAY[v_one.debit_version], ARRAY[v_one.debit_balance],
                ARRAY[v_one.credit_version], ARRAY[v_one.credit_balance])::booked_range;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'KP002' OR check_violation OR unique_violation OR numeric_value_out_of_range THEN
            NULL;
        END;
    ELSIF cardinality(p_cond_entry) = 0
       AND NOT EXISTS (SELECT FROM refusals WHERE book = v_book.number AND reference = ANY (p_references)) THEN
        BEGIN
            v_done := book_all(v_book.number, v_book.closed_through_on,
                p_ids, p_references, p_kinds, p_hashes, p_happened, p_metadata,
                p_codes, p_entry, p_number, p_debit, p_credit, p_commodity, p_amount);
            RETURN NEXT (1, cardinality(p_ids), 'booked', v_done.recorded_at, p_ids, NULL, NULL,
                v_done.debit_versions, v_done.debit_balances, v_done.credit_versions, v_done.credit_balances)::booked_range;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'KP001' OR check_violation OR unique_violation OR numeric_value_out_of_range THEN
            NULL;
        END;
    END IF;

    RETURN QUERY SELECT * FROM book_range(v_book.number, v_book.closed_through_on,
        ROW(p_ids, p_references, p_kinds, p_hashes, p_happened, p_metadata, p_chains, p_codes,
            p_entry, p_number, p_debit, p_credit, p_commodity, p_amount,
            p_cond_entry, p_cond_account, p_cond_if_version, p_cond_min_available)::entry_batch, 0,
        cardinality(p_cond_entry) = 0);
END $$;
