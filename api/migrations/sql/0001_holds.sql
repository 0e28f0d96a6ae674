-- Holds: money set aside until it is posted, released or expired. Each call is idempotent
-- by its own reference, which hold_events keeps.

-- Adds to (or, with a negative amount, takes from) the held counters of both accounts.
-- Locks: the two accounts in their one order.
CREATE FUNCTION move_held(p_book integer, p_debit integer, p_credit integer, p_amount bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_constraint text;
    v_bad        accounts;
BEGIN
    PERFORM 1 FROM accounts WHERE book = p_book AND number IN (p_debit, p_credit) ORDER BY lock_turn(code)
       FOR NO KEY UPDATE;
    UPDATE accounts
       SET debits_held = debits_held + CASE number WHEN p_debit THEN p_amount ELSE 0 END,
           credits_held = credits_held + CASE number WHEN p_credit THEN p_amount ELSE 0 END
     WHERE book = p_book AND number IN (p_debit, p_credit);
EXCEPTION WHEN check_violation THEN
    GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
    IF v_constraint = 'accounts_not_overdrawn' THEN
        SELECT * INTO v_bad FROM accounts
         WHERE book = p_book AND number IN (p_debit, p_credit) AND available_min > CASE normal_side
                   WHEN 'debit' THEN debits_posted - credits_posted - credits_held - CASE number WHEN p_credit THEN p_amount ELSE 0 END
                   ELSE credits_posted - debits_posted - debits_held - CASE number WHEN p_debit THEN p_amount ELSE 0 END END
         ORDER BY code LIMIT 1;
        PERFORM refuse('ledger.overdrawn', jsonb_build_object('account', v_bad.code, 'available_min', v_bad.available_min));
    ELSIF v_constraint = 'accounts_under_ceiling' THEN
        PERFORM refuse('ledger.over_ceiling', jsonb_build_object('amount', p_amount));
    ELSE
        RAISE;
    END IF;
END $$;

-- The open account of that code and commodity, or a refusal.
CREATE FUNCTION account_for_hold(p_book integer, p_code text, p_commodity text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v accounts;
BEGIN
    SELECT * INTO v FROM accounts WHERE book = p_book AND code = p_code;
    IF NOT FOUND THEN
        PERFORM refuse('ledger.unknown_account', jsonb_build_object('account', p_code));
    ELSIF v.closed_at IS NOT NULL THEN
        PERFORM refuse('ledger.account_closed', jsonb_build_object('account', p_code));
    ELSIF v.commodity <> p_commodity THEN
        PERFORM refuse('ledger.wrong_commodity', jsonb_build_object(
            'account', p_code, 'commodity', p_commodity, 'expected', v.commodity));
    END IF;
    RETURN v.number;
END $$;

-- True if this reference was already carried out with the same body; refuses another body.
CREATE FUNCTION hold_event_known(p_book integer, p_reference text, p_hash uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v hold_events;
BEGIN
    SELECT * INTO v FROM hold_events WHERE book = p_book AND reference = p_reference;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF v.body_hash <> p_hash THEN
        PERFORM refuse('ledger.reference_reused', jsonb_build_object(
            'reference', p_reference, 'body_hash', p_hash, 'first_body_hash', v.body_hash));
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION book_number(p_book text) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v integer;
BEGIN
    SELECT number INTO v FROM books WHERE name = p_book;
    IF NOT FOUND THEN
        PERFORM refuse('ledger.unknown_book', jsonb_build_object('book', p_book));
    END IF;
    RETURN v;
END $$;

CREATE FUNCTION place_hold(
    p_book text, p_id uuid, p_reference text, p_hash uuid, p_kind text, p_debit text, p_credit text,
    p_commodity text, p_amount bigint, p_happened_at timestamptz, p_expires_at timestamptz, p_metadata jsonb
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_book   integer := book_number(p_book);
    v_debit  integer;
    v_credit integer;
    v_id     uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(19281, hashtext(p_reference));
    IF hold_event_known(v_book, p_reference, p_hash) THEN
        SELECT hold_id INTO v_id FROM hold_events WHERE book = v_book AND reference = p_reference;
        RETURN v_id;
    END IF;
    v_debit := account_for_hold(v_book, p_debit, p_commodity);
    v_credit := account_for_hold(v_book, p_credit, p_commodity);
    PERFORM move_held(v_book, v_debit, v_credit, p_amount);
    INSERT INTO holds (book, id, reference, body_hash, kind, debit, credit, commodity, amount, happened_at,
                       expires_at, recorded_at, metadata)
    VALUES (v_book, p_id, p_reference, p_hash, p_kind, v_debit, v_credit, p_commodity, p_amount, p_happened_at,
            p_expires_at, clock_timestamp(), p_metadata);
    INSERT INTO hold_events (book, hold_id, number, what, amount, reference, body_hash, happened_at, recorded_at)
    VALUES (v_book, p_id, 1, 'placed', p_amount, p_reference, p_hash, p_happened_at, clock_timestamp());
    RETURN p_id;
END $$;

-- The open hold, locked; refuses one that is unknown, closed, or past its time.
CREATE FUNCTION open_hold(p_book integer, p_id uuid, p_happened_at timestamptz, p_for_expiry boolean)
RETURNS holds LANGUAGE plpgsql AS $$
DECLARE
    v holds;
BEGIN
    SELECT * INTO v FROM holds WHERE book = p_book AND id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM refuse('ledger.unknown_hold', jsonb_build_object('hold_id', p_id));
    ELSIF v.state <> 'open' THEN
        PERFORM refuse('ledger.hold_not_open', jsonb_build_object('hold_id', p_id, 'state', v.state));
    ELSIF p_for_expiry AND v.expires_at IS NULL OR p_for_expiry AND v.expires_at > p_happened_at THEN
        PERFORM refuse('ledger.hold_not_expired', jsonb_build_object('hold_id', p_id, 'expires_at', v.expires_at));
    ELSIF NOT p_for_expiry AND v.expires_at <= p_happened_at THEN
        PERFORM refuse('ledger.hold_expired', jsonb_build_object('hold_id', p_id, 'expires_at', v.expires_at));
    END IF;
    RETURN v;
END $$;

CREATE FUNCTION add_hold_event(
    p_hold holds, p_what text, p_amount bigint, p_entry_id uuid, p_reference text, p_hash uuid, p_happened_at timestamptz
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hold_events (book, hold_id, number, what, amount, entry_id, reference, body_hash, happened_at, recorded_at)
    SELECT p_hold.book, p_hold.id, max(number) + 1, p_what, p_amount, p_entry_id, p_reference, p_hash, p_happened_at,
           clock_timestamp()
      FROM hold_events WHERE book = p_hold.book AND hold_id = p_hold.id
$$;

-- Books p_amount of the hold (NULL: all that is held) as an entry of one posting; the rest is
-- released unless it is to stay.
-- Дт the hold's debit account  Кт the hold's credit account
CREATE FUNCTION post_hold(
    p_book text, p_id uuid, p_entry_id uuid, p_reference text, p_hash uuid, p_amount bigint, p_keep_rest boolean,
    p_happened_at timestamptz, p_metadata text
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_book   integer := book_number(p_book);
    v_closed date;
    v        holds;
    v_rest   bigint;
    v_amount bigint;
    v_codes  text[];
    v_debit  text;
    v_entry  uuid;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(19280, hashtext(p_book));
    PERFORM pg_advisory_xact_lock(19281, hashtext(p_reference));
    IF hold_event_known(v_book, p_reference, p_hash) THEN
        SELECT entry_id INTO v_entry FROM hold_events WHERE book = v_book AND reference = p_reference;
        RETURN v_entry;
    END IF;
    v := open_hold(v_book, p_id, p_happened_at, false);
    v_rest := v.amount - v.amount_posted - v.amount_released;
    v_amount := coalesce(p_amount, v_rest);
    IF v_amount > v_rest THEN
        PERFORM refuse('ledger.hold_exceeded', jsonb_build_object('hold_id', p_id, 'amount', v_amount, 'held', v_rest));
    END IF;

    PERFORM move_held(v_book, v.debit, v.credit, -CASE WHEN p_keep_rest THEN v_amount ELSE v_rest END);
    UPDATE holds SET amount_posted = amount_posted + v_amount,
                     amount_released = amount_released + CASE WHEN p_keep_rest THEN 0 ELSE v_rest - v_amount END,
                     state = CASE WHEN p_keep_rest AND v_amount < v_rest THEN 'open' ELSE 'posted' END
     WHERE book = v_book AND id = p_id;
    SELECT closed_through_on INTO v_closed FROM books WHERE number = v_book;
    SELECT array_agg(code ORDER BY code), max(code) FILTER (WHERE number = v.debit) INTO v_codes, v_debit
      FROM accounts WHERE book = v_book AND number IN (v.debit, v.credit);
    PERFORM book_all(v_book, v_closed, ARRAY[p_entry_id], ARRAY[p_reference], ARRAY[v.kind], ARRAY[p_hash],
        ARRAY[p_happened_at], ARRAY[p_metadata], v_codes, ARRAY[1], ARRAY[1::smallint],
        ARRAY[array_position(v_codes, v_debit)], ARRAY[3 - array_position(v_codes, v_debit)],
        ARRAY[v.commodity], ARRAY[v_amount]);
    PERFORM add_hold_event(v, 'posted', v_amount, p_entry_id, p_reference, p_hash, p_happened_at);
    IF NOT p_keep_rest AND v_amount < v_rest THEN
        PERFORM add_hold_event(v, 'released', v_rest - v_amount, NULL, p_reference || ':rest', p_hash, p_happened_at);
    END IF;
    RETURN p_entry_id;
END $$;

-- Gives back what is still held: p_what is 'released', or 'expired' when its time has passed.
CREATE FUNCTION release_hold(
    p_book text, p_id uuid, p_reference text, p_hash uuid, p_happened_at timestamptz, p_what text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    v_book integer := book_number(p_book);
    v      holds;
    v_rest bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(19281, hashtext(p_reference));
    IF hold_event_known(v_book, p_reference, p_hash) THEN
        SELECT amount INTO v_rest FROM hold_events WHERE book = v_book AND reference = p_reference;
        RETURN v_rest;
    END IF;
    v := open_hold(v_book, p_id, p_happened_at, p_what = 'expired');
    v_rest := v.amount - v.amount_posted - v.amount_released;
    PERFORM move_held(v_book, v.debit, v.credit, -v_rest);
    UPDATE holds SET amount_released = amount_released + v_rest, state = p_what WHERE book = v_book AND id = p_id;
    PERFORM add_hold_event(v, p_what, v_rest, NULL, p_reference, p_hash, p_happened_at);
    RETURN v_rest;
END $$;
