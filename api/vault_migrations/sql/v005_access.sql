-- People of the vault, how they sign in, what they were shown, and who let them.

-- Sealed and hashed factors only. Roles stand in the person's row so that CHECKs hold the separation of
-- duties; who gave which role when stands in role_changes. A second-factor code counts once: totp_counter
-- is the step of the last code that was taken, and no code of that step or an earlier one is.
-- Whoever lets a person in or gives them a role stands in granted_by; until another stands in confirmed_by, the
-- person can neither enrol nor sign in.
CREATE TABLE people (
    id                  text COLLATE "C" NOT NULL,
    login               text COLLATE "C" NOT NULL,
    name                text NOT NULL,
    status              text COLLATE "C" NOT NULL,
    roles               text[] NOT NULL,
    password_hash       text COLLATE "C",
    password_changed_at timestamptz,
    totp_secret         bytea,
    totp_counter        bigint NOT NULL DEFAULT 0,
    failed_attempts     integer NOT NULL DEFAULT 0,
    locked_until        timestamptz,
    last_signed_in_at   timestamptz,
    idle_since          timestamptz NOT NULL,
    created_at          timestamptz NOT NULL,
    created_by          text COLLATE "C" NOT NULL,
    granted_by          text COLLATE "C" NOT NULL,
    confirmed_by        text COLLATE "C",
    disabled_at         timestamptz,
    disabled_by         text COLLATE "C",
    disabled_reason     text,
    CONSTRAINT people_pkey PRIMARY KEY (id),
    CONSTRAINT people_login_key UNIQUE (login),
    CONSTRAINT people_login_form CHECK (login ~ '^[a-z][a-z0-9._-]{2,63}$'),
    CONSTRAINT people_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT people_status_is_known CHECK (status IN ('invited', 'active', 'disabled')),
    CONSTRAINT people_roles_are_known
        CHECK (roles <@ ARRAY['admin', 'security_officer', 'support', 'custodian', 'auditor']),
    CONSTRAINT people_admin_does_nothing_else CHECK (NOT 'admin' = ANY (roles) OR cardinality(roles) = 1),
    CONSTRAINT people_auditor_does_nothing_else CHECK (NOT 'auditor' = ANY (roles) OR cardinality(roles) = 1),
    CONSTRAINT people_reveal_and_approval_apart
        CHECK (NOT roles @> ARRAY['support', 'security_officer']),
    CONSTRAINT people_active_has_both_factors
        CHECK (status <> 'active' OR num_nulls(password_hash, password_changed_at, totp_secret) = 0),
    CONSTRAINT people_confirmed_by_another
        CHECK ((confirmed_by <> granted_by OR confirmed_by = 'system:init') AND confirmed_by <> 'person:' || id),
    CONSTRAINT people_password_is_hashed CHECK (password_hash LIKE '$argon2id$%'),
    CONSTRAINT people_counter_not_negative CHECK (totp_counter >= 0),
    CONSTRAINT people_failed_attempts_in_range CHECK (failed_attempts BETWEEN 0 AND 10),
    CONSTRAINT people_tenth_failure_locks CHECK (failed_attempts < 10 OR locked_until IS NOT NULL),
    CONSTRAINT people_disabled_says_by_whom
        CHECK ((status = 'disabled') = (num_nulls(disabled_at, disabled_by, disabled_reason) = 0))
);

-- Passwords that were: the last four may not come back.
CREATE TABLE past_passwords (
    person_id     text COLLATE "C" NOT NULL,
    set_at        timestamptz NOT NULL,
    password_hash text COLLATE "C" NOT NULL,
    CONSTRAINT past_passwords_pkey PRIMARY KEY (person_id, set_at),
    CONSTRAINT past_passwords_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT past_passwords_are_hashed CHECK (password_hash LIKE '$argon2id$%')
);

-- Who gave or took which role, when and why. Added to only.
CREATE TABLE role_changes (
    id         text COLLATE "C" NOT NULL,
    person_id  text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,
    is_granted boolean NOT NULL,
    changed_by text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL,
    reason     text NOT NULL,
    CONSTRAINT role_changes_pkey PRIMARY KEY (id),
    CONSTRAINT role_changes_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT role_changes_not_by_oneself CHECK (changed_by <> 'person:' || person_id),
    CONSTRAINT role_changes_reason_length CHECK (length(reason) BETWEEN 1 AND 200)
);
CREATE INDEX role_changes_person ON role_changes (person_id, changed_at);

-- One chance to set factors, by a token that is shown once and kept as its hash. The proof is keyed by the vault: who
-- only writes to this table invites nobody.
CREATE TABLE enrolments (
    id              text COLLATE "C" NOT NULL,
    person_id       text COLLATE "C" NOT NULL,
    kind            text COLLATE "C" NOT NULL,
    token_hash      bytea NOT NULL,
    proof           bytea NOT NULL,
    made_by         text COLLATE "C" NOT NULL,
    made_at         timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    begun_at        timestamptz,
    password_hash   text COLLATE "C",
    totp_secret     bytea,
    failed_attempts integer NOT NULL DEFAULT 0,
    ended_at        timestamptz,
    is_done         boolean NOT NULL DEFAULT false,
    CONSTRAINT enrolments_pkey PRIMARY KEY (id),
    CONSTRAINT enrolments_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT enrolments_token_hash_key UNIQUE (token_hash),
    CONSTRAINT enrolments_token_is_sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT enrolments_proof_length CHECK (octet_length(proof) = 36),
    CONSTRAINT enrolments_kind_is_known CHECK (kind IN ('first', 'password', 'totp')),
    CONSTRAINT enrolments_end_after_they_are_made CHECK (expires_at > made_at),
    CONSTRAINT enrolments_failed_attempts_in_range CHECK (failed_attempts BETWEEN 0 AND 5),
    CONSTRAINT enrolments_done_are_ended CHECK (NOT is_done OR num_nulls(begun_at, ended_at) = 0),
    CONSTRAINT enrolments_password_is_hashed CHECK (password_hash LIKE '$argon2id$%')
);
CREATE UNIQUE INDEX enrolments_one_open ON enrolments (person_id) WHERE ended_at IS NULL;

-- Who is signed in. The token is 256 random bits; here is its hash. The proof is keyed by the vault: who only writes to
-- this table signs nobody in.
CREATE TABLE sign_ins (
    id         text COLLATE "C" NOT NULL,
    person_id  text COLLATE "C" NOT NULL,
    token_hash bytea NOT NULL,
    proof      bytea NOT NULL,
    origin     text NOT NULL,
    opened_at  timestamptz NOT NULL,
    used_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    ended_by   text COLLATE "C",
    CONSTRAINT sign_ins_pkey PRIMARY KEY (id),
    CONSTRAINT sign_ins_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT sign_ins_token_hash_key UNIQUE (token_hash),
    CONSTRAINT sign_ins_token_is_sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT sign_ins_proof_length CHECK (octet_length(proof) = 36),
    CONSTRAINT sign_ins_last_eight_hours CHECK (expires_at > opened_at AND expires_at <= opened_at + interval '8 hours'),
    CONSTRAINT sign_ins_used_while_open CHECK (used_at >= opened_at AND used_at <= expires_at),
    CONSTRAINT sign_ins_end_says_by_whom CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX sign_ins_person_open ON sign_ins (person_id) WHERE ended_at IS NULL;

-- A lost second factor is reset by two people, neither of whom is its owner.
CREATE TABLE totp_resets (
    id           text COLLATE "C" NOT NULL,
    person_id    text COLLATE "C" NOT NULL,
    requested_by text COLLATE "C" NOT NULL,
    reason       text NOT NULL,
    requested_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    approved_by  text COLLATE "C",
    approved_at  timestamptz,
    CONSTRAINT totp_resets_pkey PRIMARY KEY (id),
    CONSTRAINT totp_resets_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT totp_resets_requester_fkey FOREIGN KEY (requested_by) REFERENCES people (id),
    CONSTRAINT totp_resets_approver_fkey FOREIGN KEY (approved_by) REFERENCES people (id),
    CONSTRAINT totp_resets_not_ones_own CHECK (requested_by <> person_id AND approved_by <> person_id),
    CONSTRAINT totp_resets_not_approved_by_who_asked CHECK (approved_by <> requested_by),
    CONSTRAINT totp_resets_approved_in_time
        CHECK ((approved_by IS NULL) = (approved_at IS NULL) AND approved_at <= expires_at),
    CONSTRAINT totp_resets_reason_length CHECK (length(reason) BETWEEN 1 AND 200),
    CONSTRAINT totp_resets_end_after_they_are_asked CHECK (expires_at > requested_at)
);

-- Asked to be shown one card number beyond the day's share; a second person says yes, and it counts once.
CREATE TABLE reveal_requests (
    id           text COLLATE "C" NOT NULL,
    person_id    text COLLATE "C" NOT NULL,
    token        text COLLATE "C" NOT NULL,
    reason       text COLLATE "C" NOT NULL,
    ticket       text NOT NULL,
    status       text COLLATE "C" NOT NULL,
    requested_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    decided_by   text COLLATE "C",
    decided_at   timestamptz,
    used_at      timestamptz,
    CONSTRAINT reveal_requests_pkey PRIMARY KEY (id),
    CONSTRAINT reveal_requests_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT reveal_requests_decider_fkey FOREIGN KEY (decided_by) REFERENCES people (id),
    CONSTRAINT reveal_requests_status_is_known
        CHECK (status IN ('requested', 'approved', 'refused', 'used', 'expired')),
    CONSTRAINT reveal_requests_four_eyes CHECK (decided_by <> person_id),
    CONSTRAINT reveal_requests_decided_says_by_whom CHECK (
        CASE status WHEN 'requested' THEN num_nonnulls(decided_by, decided_at) = 0
                    WHEN 'expired' THEN num_nonnulls(decided_by, decided_at) IN (0, 2)
                    ELSE num_nonnulls(decided_by, decided_at) = 2 END
    ),
    CONSTRAINT reveal_requests_used_says_when CHECK ((status = 'used') = (used_at IS NOT NULL)),
    CONSTRAINT reveal_requests_in_time CHECK (decided_at < expires_at AND used_at < expires_at),
    CONSTRAINT reveal_requests_end_within_the_hour
        CHECK (expires_at > requested_at AND expires_at <= requested_at + interval '1 hour'),
    CONSTRAINT reveal_requests_reason_is_known
        CHECK (reason IN ('chargeback', 'fraud_inquiry', 'buyer_request', 'law_enforcement', 'reconciliation')),
    CONSTRAINT reveal_requests_ticket_form CHECK (ticket ~ '^[A-Za-zА-Яа-яЁё0-9][A-Za-zА-Яа-яЁё0-9_/.#-]{0,63}$'),
    CONSTRAINT reveal_requests_ticket_is_no_card CHECK (ticket !~ '[0-9]{12}')
);
CREATE INDEX reveal_requests_open ON reveal_requests (requested_at) WHERE status IN ('requested', 'approved');
CREATE INDEX reveal_requests_person ON reveal_requests (person_id, requested_at);

-- Every card number a person was shown. Added to only.
CREATE TABLE reveals (
    id          text COLLATE "C" NOT NULL,
    person_id   text COLLATE "C" NOT NULL,
    token       text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    ticket      text NOT NULL,
    request_id  text COLLATE "C",
    revealed_at timestamptz NOT NULL,
    CONSTRAINT reveals_pkey PRIMARY KEY (id),
    CONSTRAINT reveals_person_fkey FOREIGN KEY (person_id) REFERENCES people (id),
    CONSTRAINT reveals_request_fkey FOREIGN KEY (request_id) REFERENCES reveal_requests (id),
    CONSTRAINT reveals_request_key UNIQUE (request_id),
    CONSTRAINT reveals_reason_is_known
        CHECK (reason IN ('chargeback', 'fraud_inquiry', 'buyer_request', 'law_enforcement', 'reconciliation')),
    CONSTRAINT reveals_ticket_form CHECK (ticket ~ '^[A-Za-zА-Яа-яЁё0-9][A-Za-zА-Яа-яЁё0-9_/.#-]{0,63}$'),
    CONSTRAINT reveals_ticket_is_no_card CHECK (ticket !~ '[0-9]{12}')
);
CREATE INDEX reveals_person ON reveals (person_id, revealed_at);

-- Half a year's access looked through and signed off: what was seen is its digest. Added to only.
CREATE TABLE access_reviews (
    id          text COLLATE "C" NOT NULL,
    reviewed_by text COLLATE "C" NOT NULL,
    reviewed_at timestamptz NOT NULL,
    people      integer NOT NULL,
    digest      bytea NOT NULL,
    note        text NOT NULL,
    CONSTRAINT access_reviews_pkey PRIMARY KEY (id),
    CONSTRAINT access_reviews_reviewer_fkey FOREIGN KEY (reviewed_by) REFERENCES people (id),
    CONSTRAINT access_reviews_people_not_negative CHECK (people >= 0),
    CONSTRAINT access_reviews_digest_is_sha256 CHECK (octet_length(digest) = 32),
    CONSTRAINT access_reviews_note_length CHECK (length(note) BETWEEN 1 AND 200)
);

-- People look for a card by what stands on it. Few columns, many equal keys: PostgreSQL keeps this index small.
CREATE INDEX cards_digits ON cards (last4, expires) WHERE status = 'active';

GRANT SELECT, INSERT, UPDATE ON people, enrolments, sign_ins, totp_resets, reveal_requests TO kopeyka_vault;
GRANT SELECT, INSERT ON past_passwords, role_changes, reveals, access_reviews TO kopeyka_vault;
