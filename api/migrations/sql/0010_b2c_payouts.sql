-- Money sent to a buyer's phone and bank. The number is kept only until the bank has had its last word.

CREATE TABLE buyer_payouts (
    id             text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL REFERENCES sbp_merchants,
    member_id      text COLLATE "C" NOT NULL,
    phone          text COLLATE "C",
    phone_mask     text COLLATE "C" NOT NULL,
    bank_member_id text COLLATE "C" NOT NULL,
    amount_kopecks bigint NOT NULL,
    purpose        text NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'requested',
    hold_id        uuid NOT NULL,
    entry_id       uuid,
    tries          integer NOT NULL DEFAULT 0,
    asked_at       timestamptz,
    next_try_at    timestamptz,
    reason         text,
    created_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    CONSTRAINT buyer_payouts_pkey PRIMARY KEY (id),
    CONSTRAINT buyer_payouts_hold_key UNIQUE (hold_id),
    CONSTRAINT buyer_payouts_entry_key UNIQUE (entry_id),
    CONSTRAINT buyer_payouts_id_is_shown CHECK (id ~ '^bpo_[0-9a-z]{26}$'),
    CONSTRAINT buyer_payouts_members_are_digits CHECK (
        member_id ~ '^[0-9]{12}$' AND bank_member_id ~ '^[0-9]{12}$'
    ),
    CONSTRAINT buyer_payouts_phone_form CHECK (phone ~ '^79[0-9]{9}$'),
    CONSTRAINT buyer_payouts_mask_form CHECK (phone_mask ~ '^0079[*]{6}[0-9]{2}$'),
    CONSTRAINT buyer_payouts_amount_in_range CHECK (amount_kopecks BETWEEN 100 AND 100000000),
    CONSTRAINT buyer_payouts_purpose_length CHECK (length(purpose) BETWEEN 1 AND 140),
    CONSTRAINT buyer_payouts_status_is_known CHECK (
        status IN ('requested', 'processing', 'unknown', 'sent', 'rejected')
    ),
    CONSTRAINT buyer_payouts_phone_while_open CHECK (
        (status IN ('requested', 'processing', 'unknown')) = (phone IS NOT NULL)
    ),
    CONSTRAINT buyer_payouts_tried_while_open CHECK (
        (status IN ('requested', 'processing', 'unknown')) = (next_try_at IS NOT NULL)
    ),
    CONSTRAINT buyer_payouts_finished_when_over CHECK (
        (status IN ('sent', 'rejected')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT buyer_payouts_booked_when_sent CHECK ((status = 'sent') = (entry_id IS NOT NULL)),
    CONSTRAINT buyer_payouts_tries_not_negative CHECK (tries >= 0)
) WITH (fillfactor = 80);
CREATE INDEX buyer_payouts_of_merchant ON buyer_payouts (merchant_id, id);
CREATE INDEX buyer_payouts_next_try ON buyer_payouts (next_try_at) WHERE next_try_at IS NOT NULL;

-- What is over -----------------------------------------------------------------------------------

-- Codes and activations that ended without money, and NSPK is asked about all the same: only a list of questions,
-- so its rows go when nothing is left to ask.
CREATE TABLE sbp_late_watches (
    id            text COLLATE "C" NOT NULL,
    is_activation boolean NOT NULL,
    ended_at      timestamptz NOT NULL,
    next_look_at  timestamptz NOT NULL,
    CONSTRAINT sbp_late_watches_pkey PRIMARY KEY (id),
    CONSTRAINT sbp_late_watches_id_form CHECK (id ~ CASE WHEN is_activation THEN '^acv_' ELSE '^qr_' END),
    CONSTRAINT sbp_late_watches_look_later CHECK (next_look_at > ended_at)
) WITH (fillfactor = 80);
CREATE INDEX sbp_late_watches_next_look ON sbp_late_watches (next_look_at);

-- Who may do what -------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE ON buyer_payouts TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sbp_late_watches TO kopeyka_app;
