-- Promo codes of merchants and their redemptions: never more than the code allows, overall and by buyer.

CREATE TABLE promo_codes (
    id                    text COLLATE "C" NOT NULL,
    merchant_id           text COLLATE "C" NOT NULL,
    code                  text COLLATE "C" NOT NULL,
    kind                  text COLLATE "C" NOT NULL,
    discount_kopecks      bigint,
    discount_basis_points integer,
    discount_kopecks_max  bigint,
    basket_kopecks_min    bigint NOT NULL DEFAULT 0,
    redemptions_max       integer,
    buyer_redemptions_max integer,
    owner_key             text COLLATE "C",
    only_for              text COLLATE "C",
    reward_kopecks        bigint,
    reward_code_id        text COLLATE "C",
    is_returnable         boolean NOT NULL,
    valid_from            timestamptz NOT NULL,
    valid_until           timestamptz,
    taken                 integer NOT NULL DEFAULT 0,
    confirmed             integer NOT NULL DEFAULT 0,
    created_at            timestamptz NOT NULL,
    ended_at              timestamptz,
    CONSTRAINT promo_codes_pkey PRIMARY KEY (id),
    CONSTRAINT promo_codes_code_key UNIQUE (merchant_id, code),
    CONSTRAINT promo_codes_kind_key UNIQUE (id, merchant_id, kind),
    CONSTRAINT promo_codes_reward_key UNIQUE (reward_code_id),
    CONSTRAINT promo_codes_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants,
    CONSTRAINT promo_codes_reward_fkey FOREIGN KEY (reward_code_id) REFERENCES promo_codes,
    CONSTRAINT promo_codes_id_is_shown CHECK (id ~ '^pmc_[0-9a-z]{26}$'),
    CONSTRAINT promo_codes_code_form CHECK (code ~ '^[0-9A-ZА-ЯЁ-]{3,32}$'),
    CONSTRAINT promo_codes_kind_is_known CHECK (kind IN ('referral', 'trial', 'discount')),
    CONSTRAINT promo_codes_one_discount CHECK ((discount_kopecks IS NULL) <> (discount_basis_points IS NULL)),
    CONSTRAINT promo_codes_discount_in_range CHECK (
        CASE WHEN discount_kopecks IS NOT NULL
             THEN discount_kopecks BETWEEN 1 AND 100000000 AND discount_kopecks_max IS NULL
             ELSE discount_basis_points BETWEEN 1 AND 10000
                  AND (discount_kopecks_max IS NULL OR discount_kopecks_max BETWEEN 1 AND 100000000) END
    ),
    CONSTRAINT promo_codes_basket_in_range CHECK (basket_kopecks_min BETWEEN 0 AND 100000000),
    CONSTRAINT promo_codes_limits_in_range CHECK (
        (redemptions_max IS NULL OR redemptions_max BETWEEN 1 AND 1000000)
        AND (buyer_redemptions_max IS NULL OR buyer_redemptions_max BETWEEN 1 AND 1000)
    ),
    CONSTRAINT promo_codes_referral_has_owner CHECK (
        (kind = 'referral') = (owner_key IS NOT NULL)
        AND (kind <> 'referral' OR redemptions_max IS NOT NULL AND buyer_redemptions_max IS NOT NULL)
    ),
    CONSTRAINT promo_codes_trial_once CHECK (
        kind <> 'trial' OR buyer_redemptions_max IS NOT NULL AND buyer_redemptions_max = 1
    ),
    CONSTRAINT promo_codes_reward_of_referral CHECK (
        (reward_kopecks IS NULL OR kind = 'referral' AND reward_kopecks BETWEEN 1 AND 100000000)
        AND (reward_code_id IS NULL OR reward_kopecks IS NOT NULL)
    ),
    CONSTRAINT promo_codes_buyers_are_keys CHECK (
        (owner_key IS NULL OR length(owner_key) BETWEEN 1 AND 64)
        AND (only_for IS NULL OR length(only_for) BETWEEN 1 AND 64)
    ),
    CONSTRAINT promo_codes_valid_a_while CHECK (valid_until > valid_from),
    -- Only codes with a limit are counted: the others would queue up at one row for nothing.
    CONSTRAINT promo_codes_taken_within_limit CHECK (taken BETWEEN 0 AND COALESCE(redemptions_max, 0)),
    CONSTRAINT promo_codes_confirmed_are_taken CHECK (confirmed BETWEEN 0 AND taken)
) WITH (fillfactor = 70);
CREATE INDEX promo_codes_of_merchant ON promo_codes (merchant_id, id);

CREATE TABLE promo_redemptions (
    id               text COLLATE "C" NOT NULL,
    promo_code_id    text COLLATE "C" NOT NULL,
    merchant_id      text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    order_id         text COLLATE "C" NOT NULL,
    buyer_key        text COLLATE "C",
    buyer_use             integer,
    discount_kopecks bigint NOT NULL,
    status           text COLLATE "C" NOT NULL DEFAULT 'reserved',
    reserved_at      timestamptz NOT NULL,
    confirmed_at     timestamptz,
    ended_at         timestamptz,
    CONSTRAINT promo_redemptions_pkey PRIMARY KEY (id),
    CONSTRAINT promo_redemptions_order_key UNIQUE (order_id),
    CONSTRAINT promo_redemptions_order_fkey FOREIGN KEY (order_id) REFERENCES orders,
    CONSTRAINT promo_redemptions_code_fkey FOREIGN KEY (promo_code_id, merchant_id, kind)
        REFERENCES promo_codes (id, merchant_id, kind),
    CONSTRAINT promo_redemptions_id_is_shown CHECK (id ~ '^rdm_[0-9a-z]{26}$'),
    CONSTRAINT promo_redemptions_buyer_is_key CHECK (length(buyer_key) BETWEEN 1 AND 64),
    CONSTRAINT promo_redemptions_use_of_buyer CHECK (buyer_use IS NULL OR buyer_use > 0 AND buyer_key IS NOT NULL),
    CONSTRAINT promo_redemptions_discount_in_range CHECK (discount_kopecks BETWEEN 1 AND 100000000),
    CONSTRAINT promo_redemptions_status_is_known CHECK (status IN ('reserved', 'confirmed', 'released', 'returned')),
    CONSTRAINT promo_redemptions_confirmed_at_when_confirmed CHECK (
        (status IN ('confirmed', 'returned')) = (confirmed_at IS NOT NULL)
    ),
    CONSTRAINT promo_redemptions_ended_at_when_ended CHECK (
        (status IN ('released', 'returned')) = (ended_at IS NOT NULL)
    )
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX promo_redemptions_one_buyer_use ON promo_redemptions (promo_code_id, buyer_key, buyer_use)
    WHERE status IN ('reserved', 'confirmed');
CREATE UNIQUE INDEX promo_redemptions_one_trial ON promo_redemptions (merchant_id, buyer_key)
    WHERE kind = 'trial' AND status IN ('reserved', 'confirmed');
CREATE INDEX promo_redemptions_of_code ON promo_redemptions (promo_code_id, id);

-- Triggers refuse, never compute: a redemption goes forward only, and nothing else of it changes.
CREATE FUNCTION promo_redemptions_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.promo_code_id, OLD.order_id, OLD.buyer_key, OLD.buyer_use, OLD.discount_kopecks, OLD.reserved_at)
       IS DISTINCT FROM
       (NEW.id, NEW.promo_code_id, NEW.order_id, NEW.buyer_key, NEW.buyer_use, NEW.discount_kopecks, NEW.reserved_at)
       OR (OLD.status, NEW.status) NOT IN
          (('reserved', 'confirmed'), ('reserved', 'released'), ('confirmed', 'returned'))
    THEN
        RAISE EXCEPTION 'a redemption does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER promo_redemptions_forward BEFORE UPDATE ON promo_redemptions
    FOR EACH ROW EXECUTE FUNCTION promo_redemptions_go_forward();

GRANT SELECT, INSERT ON promo_codes, promo_redemptions TO kopeyka_app;
GRANT UPDATE (taken, confirmed, reward_code_id, ended_at) ON promo_codes TO kopeyka_app;
GRANT UPDATE (status, confirmed_at, ended_at) ON promo_redemptions TO kopeyka_app;
