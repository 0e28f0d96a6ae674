-- The register of keys. Bytes are here only wrapped under a KEK that this database has never seen.

CREATE SEQUENCE keys_number_seq AS integer START 1;

CREATE TABLE keys (
    number            integer NOT NULL,
    purpose           text COLLATE "C" NOT NULL,
    scope             text COLLATE "C" NOT NULL,
    version           integer NOT NULL,
    state             text COLLATE "C" NOT NULL,
    algorithm         text COLLATE "C" NOT NULL,
    storage_form      text COLLATE "C" NOT NULL DEFAULT 'wrapped',
    wrapped           bytea,
    kek_provider      text COLLATE "C" NOT NULL,
    kek_version       text COLLATE "C" NOT NULL,
    env               text COLLATE "C" NOT NULL,
    cryptoperiod_days integer NOT NULL,
    encryptions       bigint NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL,
    activated_at      timestamptz,
    retired_at        timestamptz,
    destroyed_at      timestamptz,
    CONSTRAINT keys_pkey PRIMARY KEY (number),
    CONSTRAINT keys_version_key UNIQUE (purpose, scope, env, version),
    CONSTRAINT keys_number_in_range CHECK (number > 0),
    CONSTRAINT keys_purpose_is_known CHECK (purpose IN (
        'card', 'sad', 'fingerprint', 'par', 'device_master', 'jwe', 'audit_personal', 'totp', 'proof'
    )),
    CONSTRAINT keys_scope_form CHECK (scope ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    CONSTRAINT keys_version_positive CHECK (version > 0),
    CONSTRAINT keys_state_is_known CHECK (state IN (
        'pre_active', 'active', 'decrypt_only', 'suspended', 'compromised', 'destroyed'
    )),
    CONSTRAINT keys_algorithm_is_known CHECK (algorithm IN (
        'aes-256-gcm', 'hmac-sha-256', 'master-256', 'ec-p-256'
    )),
    CONSTRAINT keys_storage_form_is_known CHECK (storage_form = 'wrapped'),
    CONSTRAINT keys_wrapped_until_destroyed CHECK ((wrapped IS NULL) = (state = 'destroyed')),
    CONSTRAINT keys_wrapped_is_closed CHECK (length(wrapped) BETWEEN 44 AND 4096),
    CONSTRAINT keys_kek_is_named CHECK (
        kek_provider IN ('file', 'pkcs11', 'openbao') AND length(kek_version) BETWEEN 1 AND 64
    ),
    CONSTRAINT keys_env_is_known CHECK (env IN ('test', 'live')),
    CONSTRAINT keys_cryptoperiod_in_range CHECK (cryptoperiod_days BETWEEN 1 AND 3650),
    CONSTRAINT keys_encryptions_in_range CHECK (encryptions BETWEEN 0 AND 4294967296),
    CONSTRAINT keys_times_fit_state CHECK (
        (state <> 'active' OR activated_at IS NOT NULL)
        AND (state <> 'pre_active' OR activated_at IS NULL)
        AND (state IN ('pre_active', 'active')) = (retired_at IS NULL)
        AND (state = 'destroyed') = (destroyed_at IS NOT NULL)
    )
);

CREATE UNIQUE INDEX keys_one_active ON keys (purpose, scope, env) WHERE state = 'active';
CREATE INDEX keys_by_kek ON keys (kek_version, number) WHERE state <> 'destroyed';

CREATE FUNCTION keys_moves_as_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.number, NEW.purpose, NEW.scope, NEW.version, NEW.algorithm, NEW.env, NEW.cryptoperiod_days, NEW.created_at)
        IS DISTINCT FROM
       (OLD.number, OLD.purpose, OLD.scope, OLD.version, OLD.algorithm, OLD.env, OLD.cryptoperiod_days, OLD.created_at)
    THEN
        RAISE EXCEPTION 'what a key is does not change' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'keys_moves_as_allowed';
    END IF;
    IF NEW.encryptions < OLD.encryptions OR (NEW.encryptions > OLD.encryptions AND OLD.state <> 'active') THEN
        RAISE EXCEPTION 'uses are only added, and only to an active key' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'keys_moves_as_allowed';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pre_active', 'active'), ('pre_active', 'compromised'), ('pre_active', 'destroyed'),
        ('active', 'decrypt_only'), ('active', 'suspended'), ('active', 'compromised'), ('active', 'destroyed'),
        ('decrypt_only', 'suspended'), ('decrypt_only', 'compromised'), ('decrypt_only', 'destroyed'),
        ('suspended', 'decrypt_only'), ('suspended', 'compromised'), ('suspended', 'destroyed'),
        ('compromised', 'destroyed')
    ) THEN
        RAISE EXCEPTION 'a key does not go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation',
            CONSTRAINT = 'keys_moves_as_allowed';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keys_moves_as_allowed BEFORE UPDATE ON keys
    FOR EACH ROW EXECUTE FUNCTION keys_moves_as_allowed();

GRANT USAGE ON SEQUENCE keys_number_seq TO kopeyka_vault;
GRANT SELECT, INSERT ON keys TO kopeyka_vault;
GRANT UPDATE (state, wrapped, kek_provider, kek_version, encryptions, activated_at, retired_at, destroyed_at)
    ON keys TO kopeyka_vault;

-- Re-wrapping and re-encrypting, with progress: a row a rotation. One kind of work has one open rotation a scope.

CREATE TABLE rotations (
    id          text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    scope       text COLLATE "C" NOT NULL,
    target      text COLLATE "C" NOT NULL,
    status      text COLLATE "C" NOT NULL DEFAULT 'running',
    rows_total  bigint NOT NULL,
    rows_done   bigint NOT NULL DEFAULT 0,
    place       text COLLATE "C" NOT NULL DEFAULT '',
    started_by  text NOT NULL,
    started_at  timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT rotations_pkey PRIMARY KEY (id),
    CONSTRAINT rotations_id_is_shown CHECK (id ~ '^rot_[0-9A-Za-z]{20,40}$'),
    CONSTRAINT rotations_kind_is_known CHECK (kind IN ('kek', 'card', 'fingerprint')),
    CONSTRAINT rotations_scope_form CHECK (scope ~ '^[A-Za-z0-9_.:-]{1,64}$'),
    CONSTRAINT rotations_target_length CHECK (length(target) BETWEEN 1 AND 64),
    CONSTRAINT rotations_status_is_known CHECK (status IN ('running', 'paused', 'done')),
    CONSTRAINT rotations_rows_in_range CHECK (rows_total >= 0 AND rows_done >= 0),
    CONSTRAINT rotations_place_length CHECK (length(place) <= 128),
    CONSTRAINT rotations_started_by_length CHECK (length(started_by) BETWEEN 1 AND 128),
    CONSTRAINT rotations_finished_when_done CHECK ((status = 'done') = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX rotations_one_open ON rotations (kind, scope) WHERE status <> 'done';

GRANT SELECT, INSERT ON rotations TO kopeyka_vault;
GRANT UPDATE (status, rows_total, rows_done, place, changed_at, finished_at) ON rotations TO kopeyka_vault;

-- Who holds shares of a KEK, what they signed, and the meetings at which shares were made. Shares are nowhere.

CREATE TABLE custodians (
    id             text COLLATE "C" NOT NULL,
    name           text NOT NULL,
    verifier       text COLLATE "C" NOT NULL,
    failed_tries   integer NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    deactivated_at timestamptz,
    CONSTRAINT custodians_pkey PRIMARY KEY (id),
    CONSTRAINT custodians_name_key UNIQUE (name),
    CONSTRAINT custodians_id_is_shown CHECK (id ~ '^cus_[0-9A-Za-z]{20,40}$'),
    CONSTRAINT custodians_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT custodians_verifier_is_argon2id CHECK (verifier ~ '^[$]argon2id[$]v=19[$]' AND length(verifier) < 256),
    CONSTRAINT custodians_tries_in_range CHECK (failed_tries BETWEEN 0 AND 10)
);

CREATE TABLE acknowledgements (
    custodian_id    text COLLATE "C" NOT NULL,
    text_version    integer NOT NULL,
    text_digest     bytea NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    CONSTRAINT acknowledgements_pkey PRIMARY KEY (custodian_id, text_version),
    CONSTRAINT acknowledgements_custodian_fkey FOREIGN KEY (custodian_id) REFERENCES custodians,
    CONSTRAINT acknowledgements_version_positive CHECK (text_version > 0),
    CONSTRAINT acknowledgements_digest_is_sha256 CHECK (length(text_digest) = 32)
);

CREATE TABLE ceremonies (
    id           text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    kek_provider text COLLATE "C" NOT NULL,
    threshold    integer NOT NULL,
    shares       integer NOT NULL,
    held_at      timestamptz NOT NULL,
    held_by      text NOT NULL,
    CONSTRAINT ceremonies_pkey PRIMARY KEY (id),
    CONSTRAINT ceremonies_id_is_shown CHECK (id ~ '^cer_[0-9A-Za-z]{20,40}$'),
    CONSTRAINT ceremonies_kind_is_known CHECK (kind IN ('split', 'unseal')),
    CONSTRAINT ceremonies_provider_is_known CHECK (kek_provider = 'file'),
    CONSTRAINT ceremonies_two_at_least CHECK (threshold >= 2 AND threshold <= shares AND shares <= 16),
    CONSTRAINT ceremonies_held_by_length CHECK (length(held_by) BETWEEN 1 AND 128)
);

CREATE TABLE ceremony_custodians (
    ceremony_id  text COLLATE "C" NOT NULL,
    custodian_id text COLLATE "C" NOT NULL,
    share_index  integer NOT NULL,
    confirmed_at timestamptz NOT NULL,
    CONSTRAINT ceremony_custodians_pkey PRIMARY KEY (ceremony_id, custodian_id),
    CONSTRAINT ceremony_custodians_share_key UNIQUE (ceremony_id, share_index),
    CONSTRAINT ceremony_custodians_ceremony_fkey FOREIGN KEY (ceremony_id) REFERENCES ceremonies,
    CONSTRAINT ceremony_custodians_custodian_fkey FOREIGN KEY (custodian_id) REFERENCES custodians,
    CONSTRAINT ceremony_custodians_index_in_range CHECK (share_index BETWEEN 0 AND 15)
);

GRANT SELECT, INSERT ON custodians, acknowledgements, ceremonies, ceremony_custodians TO kopeyka_vault;
GRANT UPDATE (verifier, failed_tries, deactivated_at) ON custodians TO kopeyka_vault;
