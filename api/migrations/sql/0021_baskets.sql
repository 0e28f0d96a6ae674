-- Baskets of orders, the tenders that pay for them, what a rail takes off, and goods given back by lines.

CREATE TABLE order_baskets (
    order_id         text COLLATE "C" NOT NULL,
    lines            jsonb NOT NULL,
    gross_kopecks    bigint NOT NULL,
    discount_kopecks bigint NOT NULL DEFAULT 0,
    promo_kopecks    bigint NOT NULL DEFAULT 0,
    points_kopecks   bigint NOT NULL DEFAULT 0,
    offer_kopecks    bigint NOT NULL DEFAULT 0,
    amount_kopecks   bigint NOT NULL,
    points           bigint NOT NULL DEFAULT 0,
    loyalty_card_id  text COLLATE "C",
    presentment_id   text COLLATE "C",
    redemption_id    text COLLATE "C",
    offer_rail       text COLLATE "C",
    refund_kopecks   bigint NOT NULL DEFAULT 0,
    points_back      bigint NOT NULL DEFAULT 0,
    status           text COLLATE "C" NOT NULL DEFAULT 'reserved',
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    ended_at         timestamptz,
    CONSTRAINT order_baskets_pkey PRIMARY KEY (order_id),
    CONSTRAINT order_baskets_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT order_baskets_card_fkey FOREIGN KEY (loyalty_card_id) REFERENCES loyalty_cards (id),
    CONSTRAINT order_baskets_presentment_fkey FOREIGN KEY (presentment_id) REFERENCES presentments (id),
    CONSTRAINT order_baskets_redemption_key UNIQUE (redemption_id),
    CONSTRAINT order_baskets_lines_in_range CHECK (
        jsonb_typeof(lines) = 'array' AND jsonb_array_length(lines) BETWEEN 1 AND 500
    ),
    CONSTRAINT order_baskets_sums_not_negative CHECK (
        least(discount_kopecks, promo_kopecks, points_kopecks, offer_kopecks, points) >= 0
    ),
    CONSTRAINT order_baskets_amount_in_range CHECK (amount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT order_baskets_tenders_add_up CHECK (
        gross_kopecks = discount_kopecks + promo_kopecks + points_kopecks + offer_kopecks + amount_kopecks
    ),
    CONSTRAINT order_baskets_points_have_a_card CHECK (points = 0 OR loyalty_card_id IS NOT NULL),
    CONSTRAINT order_baskets_points_have_a_value CHECK (points > 0 OR points_kopecks = 0),
    CONSTRAINT order_baskets_promo_is_redeemed CHECK (promo_kopecks = 0 OR redemption_id IS NOT NULL),
    CONSTRAINT order_baskets_offer_is_of_a_rail CHECK (offer_kopecks = 0 OR offer_rail IS NOT NULL),
    CONSTRAINT order_baskets_refunds_within_amount CHECK (refund_kopecks BETWEEN 0 AND amount_kopecks),
    CONSTRAINT order_baskets_points_back_within_points CHECK (points_back BETWEEN 0 AND points),
    CONSTRAINT order_baskets_refunds_when_confirmed CHECK (
        status = 'confirmed' OR (refund_kopecks = 0 AND points_back = 0)
    ),
    CONSTRAINT order_baskets_status_is_known CHECK (status IN ('reserved', 'confirmed', 'released')),
    CONSTRAINT order_baskets_ended_when_over CHECK ((status = 'reserved') = (ended_at IS NULL)),
    CONSTRAINT order_baskets_expires_later CHECK (expires_at > created_at)
) WITH (fillfactor = 80);
CREATE INDEX order_baskets_next_expiry ON order_baskets (expires_at, order_id) WHERE status = 'reserved';
-- One scan, one order; an order that was let go leaves the scan to the next.
CREATE UNIQUE INDEX order_baskets_presentment_key ON order_baskets (presentment_id) WHERE status <> 'released';

CREATE TABLE order_offers (
    order_id         text COLLATE "C" NOT NULL,
    rail             text COLLATE "C" NOT NULL,
    discount_kopecks bigint NOT NULL,
    note             text NOT NULL,
    CONSTRAINT order_offers_pkey PRIMARY KEY (order_id, rail),
    CONSTRAINT order_offers_basket_fkey FOREIGN KEY (order_id) REFERENCES order_baskets (order_id),
    CONSTRAINT order_offers_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay', 'dolyame')),
    CONSTRAINT order_offers_discount_positive CHECK (discount_kopecks > 0),
    CONSTRAINT order_offers_note_length CHECK (length(note) BETWEEN 1 AND 140)
);

CREATE TABLE rail_offers (
    id           text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    rail         text COLLATE "C" NOT NULL,
    basis_points integer NOT NULL,
    note         text NOT NULL,
    valid_from   timestamptz NOT NULL,
    valid_until  timestamptz,
    created_at   timestamptz NOT NULL,
    CONSTRAINT rail_offers_pkey PRIMARY KEY (id),
    CONSTRAINT rail_offers_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT rail_offers_from_key UNIQUE (merchant_id, rail, valid_from),
    CONSTRAINT rail_offers_id_is_shown CHECK (id ~ '^rof_[0-9a-z]{26}$'),
    CONSTRAINT rail_offers_rail_is_known CHECK (rail IN ('sbp', 'card', 'koshelek_pay', 'dolyame')),
    CONSTRAINT rail_offers_share_in_range CHECK (basis_points BETWEEN 0 AND 5000),
    CONSTRAINT rail_offers_note_length CHECK (length(note) BETWEEN 1 AND 140),
    CONSTRAINT rail_offers_days_in_order CHECK (valid_until > valid_from)
);

CREATE TABLE item_refunds (
    id             text COLLATE "C" NOT NULL,
    order_id       text COLLATE "C" NOT NULL,
    refund_id      text COLLATE "C",
    lines          jsonb NOT NULL,
    amount_kopecks bigint NOT NULL,
    points_back    bigint NOT NULL DEFAULT 0,
    reason         text,
    status         text COLLATE "C" NOT NULL DEFAULT 'requested',
    created_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    CONSTRAINT item_refunds_pkey PRIMARY KEY (id),
    CONSTRAINT item_refunds_basket_fkey FOREIGN KEY (order_id) REFERENCES order_baskets (order_id),
    CONSTRAINT item_refunds_refund_key UNIQUE (refund_id),
    CONSTRAINT item_refunds_id_is_shown CHECK (id ~ '^itr_[0-9a-z]{26}$'),
    CONSTRAINT item_refunds_lines_in_range CHECK (
        jsonb_typeof(lines) = 'array' AND jsonb_array_length(lines) BETWEEN 1 AND 500
    ),
    CONSTRAINT item_refunds_sums_not_negative CHECK (least(amount_kopecks, points_back) >= 0),
    CONSTRAINT item_refunds_money_goes_by_a_refund CHECK ((amount_kopecks > 0) = (refund_id IS NOT NULL)),
    CONSTRAINT item_refunds_reason_length CHECK (length(reason) BETWEEN 1 AND 140),
    CONSTRAINT item_refunds_status_is_known CHECK (status IN ('requested', 'succeeded', 'refused')),
    CONSTRAINT item_refunds_ended_when_over CHECK ((status = 'requested') = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX item_refunds_of_order ON item_refunds (order_id, id);

-- At the end of each transaction a basket is paid by what its order asks of the rail.
CREATE FUNCTION baskets_must_agree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_order text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF EXISTS (
        SELECT FROM order_baskets AS b JOIN orders AS o ON o.id = b.order_id
         WHERE b.order_id = v_order AND b.amount_kopecks <> o.amount_kopecks
    ) THEN
        RAISE EXCEPTION 'the basket of % asks another sum of the rail', v_order
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER order_baskets_agree AFTER INSERT OR UPDATE OF amount_kopecks ON order_baskets
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION baskets_must_agree('order_id');
CREATE CONSTRAINT TRIGGER orders_basket_agrees AFTER UPDATE OF amount_kopecks ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION baskets_must_agree('id');

-- And what it gave back is what its item refunds gave back that did not come to nothing.
CREATE FUNCTION item_refunds_must_agree() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT (refund_kopecks, points_back) FROM order_baskets WHERE order_id = NEW.order_id) IS DISTINCT FROM (
        SELECT (coalesce(sum(amount_kopecks), 0)::bigint, coalesce(sum(points_back), 0)::bigint) FROM item_refunds
         WHERE order_id = NEW.order_id AND status <> 'refused'
    ) THEN
        RAISE EXCEPTION 'the item refunds of % do not add up to its counters', NEW.order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER item_refunds_agree AFTER INSERT OR UPDATE OF status, amount_kopecks, points_back
    ON item_refunds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION item_refunds_must_agree();
CREATE CONSTRAINT TRIGGER order_baskets_refunds_agree AFTER UPDATE OF refund_kopecks, points_back ON order_baskets
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION item_refunds_must_agree();

CREATE FUNCTION tenders_end_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what ended as % stays so', OLD.status
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER order_baskets_final BEFORE UPDATE ON order_baskets FOR EACH ROW
    WHEN (OLD.status <> 'reserved' AND (NEW.status, NEW.amount_kopecks, NEW.promo_kopecks, NEW.points, NEW.lines)
          IS DISTINCT FROM (OLD.status, OLD.amount_kopecks, OLD.promo_kopecks, OLD.points, OLD.lines))
    EXECUTE FUNCTION tenders_end_once();
CREATE TRIGGER item_refunds_final BEFORE UPDATE ON item_refunds FOR EACH ROW
    WHEN (OLD.status <> 'requested') EXECUTE FUNCTION tenders_end_once();

GRANT SELECT, INSERT, UPDATE ON order_baskets, item_refunds TO kopeyka_app;
GRANT SELECT, INSERT ON order_offers TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE (valid_until) ON rail_offers TO kopeyka_app;
