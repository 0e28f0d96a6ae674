-- What buyers are told of their plans: written with its effect, sent by the worker. No phone and no text is kept here.

CREATE TABLE plan_notices (
    id                 text COLLATE "C" NOT NULL,
    plan_id            text COLLATE "C" NOT NULL,
    buyer_id           text COLLATE "C" NOT NULL,
    template           text COLLATE "C" NOT NULL,
    installment_number integer NOT NULL DEFAULT 0,
    stage              text COLLATE "C" NOT NULL,
    lane               integer NOT NULL,
    channel            text COLLATE "C" NOT NULL DEFAULT 'sms',
    language           text COLLATE "C" NOT NULL DEFAULT 'ru',
    facts              jsonb NOT NULL DEFAULT '{}',
    status             text COLLATE "C" NOT NULL DEFAULT 'waiting',
    tries              integer NOT NULL DEFAULT 0,
    next_try_at        timestamptz,
    reason             text COLLATE "C",
    -- About arrears: when it was first handed to the gateway. 230-FZ counts these.
    contacted_at       timestamptz,
    cost_kopecks       bigint NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    CONSTRAINT plan_notices_pkey PRIMARY KEY (id),
    CONSTRAINT plan_notices_plan_fkey FOREIGN KEY (plan_id) REFERENCES installment_plans (id),
    CONSTRAINT plan_notices_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES buyers (id),
    -- Nobody is told the same twice.
    CONSTRAINT plan_notices_once_key UNIQUE (plan_id, template, installment_number, stage),
    CONSTRAINT plan_notices_id_is_shown CHECK (id ~ '^ntc_[0-9a-z]{26}$'),
    CONSTRAINT plan_notices_template_is_known CHECK (template IN (
        'reminder', 'charge_done', 'charge_failed', 'charge_given_up', 'overdue_soft', 'overdue_firm', 'overdue_last',
        'repaid', 'refund', 'relief', 'news'
    )),
    CONSTRAINT plan_notices_number_in_range CHECK (installment_number BETWEEN 0 AND 60),
    CONSTRAINT plan_notices_stage_length CHECK (length(stage) <= 64),
    CONSTRAINT plan_notices_lane_is_known CHECK (lane IN (0, 1, 2)),
    CONSTRAINT plan_notices_channel_is_known CHECK (channel IN ('sms', 'push')),
    CONSTRAINT plan_notices_language_is_known CHECK (language IN ('ru', 'en')),
    CONSTRAINT plan_notices_status_is_known CHECK (status IN ('waiting', 'sent', 'failed', 'overtaken')),
    CONSTRAINT plan_notices_tries_not_negative CHECK (tries >= 0),
    CONSTRAINT plan_notices_watched_while_waiting CHECK ((status = 'waiting') = (next_try_at IS NOT NULL)),
    CONSTRAINT plan_notices_ended_when_over CHECK ((status <> 'waiting') = (ended_at IS NOT NULL)),
    CONSTRAINT plan_notices_contact_of_dunning CHECK (contacted_at IS NULL OR lane = 2),
    CONSTRAINT plan_notices_cost_of_sent CHECK (
        cost_kopecks >= 0 AND (cost_kopecks = 0 OR status = 'sent')
    )
) WITH (fillfactor = 80);
-- Lane 0 (transactional) is claimed before lane 1 (mass), whatever waits there.
CREATE INDEX plan_notices_waiting ON plan_notices (lane, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX plan_notices_contacts ON plan_notices (buyer_id, contacted_at) WHERE contacted_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON plan_notices TO kopeyka_app;
