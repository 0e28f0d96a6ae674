-- Shifts of tills: numbered without gaps, who stood at the till when, each sale and refund in one of them, differences.

CREATE FUNCTION shifts_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed shift is never changed: % of %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;

CREATE TABLE shifts (
    id                text COLLATE "C" NOT NULL,
    terminal_id       text COLLATE "C" NOT NULL,
    store_id          text COLLATE "C" NOT NULL,
    merchant_id       text COLLATE "C" NOT NULL,
    number            integer NOT NULL,
    opened_by         text COLLATE "C" NOT NULL,
    opened_at         timestamptz NOT NULL,
    closed_by         text COLLATE "C",
    closed_at         timestamptz,
    difference_reason text,
    CONSTRAINT shifts_pkey PRIMARY KEY (id),
    CONSTRAINT shifts_terminal_fkey FOREIGN KEY (terminal_id, store_id, merchant_id)
        REFERENCES terminals (id, store_id, merchant_id),
    CONSTRAINT shifts_opened_by_fkey FOREIGN KEY (opened_by, merchant_id) REFERENCES cashiers (id, merchant_id),
    CONSTRAINT shifts_closed_by_fkey FOREIGN KEY (closed_by, merchant_id) REFERENCES cashiers (id, merchant_id),
    CONSTRAINT shifts_number_key UNIQUE (terminal_id, number),
    CONSTRAINT shifts_id_is_shown CHECK (id ~ '^shf_[0-9a-z]{26}$'),
    CONSTRAINT shifts_number_positive CHECK (number > 0),
    CONSTRAINT shifts_closed_whole CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CONSTRAINT shifts_closed_later CHECK (closed_at >= opened_at),
    CONSTRAINT shifts_reason_when_closed CHECK (difference_reason IS NULL OR closed_at IS NOT NULL),
    CONSTRAINT shifts_reason_length CHECK (length(difference_reason) BETWEEN 1 AND 300)
);
CREATE UNIQUE INDEX shifts_one_open ON shifts (terminal_id) WHERE closed_at IS NULL;
CREATE INDEX shifts_of_merchant ON shifts (merchant_id, id);

-- The number on a Z report is its shift's: one more than the one before, and no shift begins while another is open.
CREATE FUNCTION shifts_follow_one_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM shifts WHERE terminal_id = NEW.terminal_id) THEN
        RAISE EXCEPTION 'shift % of % does not follow the one before', NEW.number, NEW.terminal_id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER shifts_numbers_are_dense BEFORE INSERT ON shifts
    FOR EACH ROW EXECUTE FUNCTION shifts_follow_one_another();
CREATE TRIGGER shifts_closed_once BEFORE UPDATE ON shifts
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION shifts_are_final();
CREATE TRIGGER shifts_stay BEFORE DELETE ON shifts FOR EACH ROW EXECUTE FUNCTION shifts_are_final();

-- Who stood at the till, one after another.
CREATE TABLE shift_turns (
    shift_id    text COLLATE "C" NOT NULL,
    number      integer NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    cashier_id  text COLLATE "C" NOT NULL,
    began_at    timestamptz NOT NULL,
    ended_at    timestamptz,
    CONSTRAINT shift_turns_pkey PRIMARY KEY (shift_id, number),
    CONSTRAINT shift_turns_shift_fkey FOREIGN KEY (shift_id) REFERENCES shifts (id),
    CONSTRAINT shift_turns_cashier_fkey FOREIGN KEY (cashier_id, merchant_id) REFERENCES cashiers (id, merchant_id),
    CONSTRAINT shift_turns_number_positive CHECK (number > 0),
    CONSTRAINT shift_turns_end_later CHECK (ended_at >= began_at)
);
CREATE UNIQUE INDEX shift_turns_one_at_a_time ON shift_turns (shift_id) WHERE ended_at IS NULL;

-- Each sale and refund of a till that keeps shifts, written with the money. One that came between two shifts waits for
-- the next: then every operation is in exactly one shift, and shifts add up to all that the till has sold.
CREATE TABLE shift_operations (
    id             text COLLATE "C" NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    terminal_id    text COLLATE "C" NOT NULL,
    shift_id       text COLLATE "C",
    cashier_id     text COLLATE "C",
    order_id       text COLLATE "C" NOT NULL,
    rail           text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    happened_at    timestamptz NOT NULL,
    CONSTRAINT shift_operations_pkey PRIMARY KEY (id),
    CONSTRAINT shift_operations_terminal_fkey FOREIGN KEY (terminal_id) REFERENCES terminals (id),
    CONSTRAINT shift_operations_shift_fkey FOREIGN KEY (shift_id) REFERENCES shifts (id),
    CONSTRAINT shift_operations_cashier_fkey FOREIGN KEY (cashier_id) REFERENCES cashiers (id),
    CONSTRAINT shift_operations_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT shift_operations_kind_is_known CHECK (kind IN ('sale', 'refund')),
    CONSTRAINT shift_operations_sale_is_its_order CHECK ((kind = 'sale') = (id = order_id)),
    CONSTRAINT shift_operations_rail_form CHECK (rail ~ '^[a-z][a-z_]{0,31}$'),
    CONSTRAINT shift_operations_amount_positive CHECK (amount_kopecks > 0)
);
CREATE INDEX shift_operations_of_shift ON shift_operations (shift_id);
CREATE INDEX shift_operations_waiting ON shift_operations (terminal_id) WHERE shift_id IS NULL;

CREATE FUNCTION shift_operations_keep_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM shifts WHERE id = NEW.shift_id AND closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'nothing is added to the closed shift %', NEW.shift_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER shift_operations_of_open_shifts BEFORE INSERT OR UPDATE ON shift_operations
    FOR EACH ROW WHEN (NEW.shift_id IS NOT NULL) EXECUTE FUNCTION shift_operations_keep_out();
CREATE TRIGGER shift_operations_move_once BEFORE UPDATE ON shift_operations
    FOR EACH ROW WHEN (OLD.shift_id IS NOT NULL) EXECUTE FUNCTION shifts_are_final();
CREATE TRIGGER shift_operations_stay BEFORE DELETE ON shift_operations
    FOR EACH ROW EXECUTE FUNCTION shifts_are_final();

-- Where the till counted otherwise when its shift was closed.
CREATE TABLE shift_differences (
    shift_id     text COLLATE "C" NOT NULL,
    rail         text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    operations   integer NOT NULL,
    kopecks      bigint NOT NULL,
    told         integer NOT NULL,
    told_kopecks bigint NOT NULL,
    CONSTRAINT shift_differences_pkey PRIMARY KEY (shift_id, rail, kind),
    CONSTRAINT shift_differences_shift_fkey FOREIGN KEY (shift_id) REFERENCES shifts (id),
    CONSTRAINT shift_differences_kind_is_known CHECK (kind IN ('sale', 'refund')),
    CONSTRAINT shift_differences_not_negative CHECK (least(operations, kopecks, told, told_kopecks) >= 0),
    CONSTRAINT shift_differences_differ CHECK (operations <> told OR kopecks <> told_kopecks)
);

GRANT SELECT, INSERT, UPDATE ON shifts, shift_turns, shift_operations TO kopeyka_app;
GRANT SELECT, INSERT ON shift_differences TO kopeyka_app;
