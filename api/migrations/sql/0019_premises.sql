-- Premises: where stores are and who owns which number there, settings by level, rollout of rails, cashiers, tills' keys.

-- The merchant's own number of a store, and the region it lies in. A store without a row lies in no region.
CREATE TABLE store_places (
    store_id    text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    number      text COLLATE "C" NOT NULL,
    region      text COLLATE "C",
    changed_at  timestamptz NOT NULL,
    CONSTRAINT store_places_pkey PRIMARY KEY (store_id),
    CONSTRAINT store_places_store_fkey FOREIGN KEY (store_id, merchant_id) REFERENCES stores (id, merchant_id),
    CONSTRAINT store_places_number_key UNIQUE (merchant_id, number),
    CONSTRAINT store_places_number_form CHECK (number ~ '^[0-9A-Za-z._-]{1,36}$'),
    CONSTRAINT store_places_region_form CHECK (region ~ '^[a-z][a-z0-9_-]{0,31}$')
);
CREATE INDEX store_places_of_region ON store_places (merchant_id, region);

-- What is told to tills, at one level. The nearest level to the till counts; a value that was taken back counts nowhere.
CREATE TABLE premises_settings (
    merchant_id text COLLATE "C" NOT NULL,
    level       text COLLATE "C" NOT NULL,
    place       text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    value       jsonb,
    changed_at  timestamptz NOT NULL,
    version     integer NOT NULL DEFAULT 1,
    CONSTRAINT premises_settings_pkey PRIMARY KEY (merchant_id, level, place, name),
    CONSTRAINT premises_settings_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT premises_settings_level_is_known CHECK (level IN ('merchant', 'region', 'store', 'terminal')),
    CONSTRAINT premises_settings_merchant_is_its_place CHECK ((level = 'merchant') = (place = merchant_id)),
    CONSTRAINT premises_settings_place_form CHECK (place ~ '^[a-z][a-z0-9_-]{0,39}$'),
    CONSTRAINT premises_settings_name_form CHECK (name ~ '^[a-z][a-z_]{0,63}$'),
    CONSTRAINT premises_settings_value_is_plain CHECK (jsonb_typeof(value) IN ('number', 'string')),
    CONSTRAINT premises_settings_version_positive CHECK (version > 0)
);

-- From a Moscow day on, a rail is on or off at a level. Of the rows that hold, the nearest level's latest day counts.
CREATE TABLE rail_rollouts (
    id           text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    rail         text COLLATE "C" NOT NULL,
    level        text COLLATE "C" NOT NULL,
    place        text COLLATE "C" NOT NULL,
    effective_on date NOT NULL,
    is_on        boolean NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT rail_rollouts_pkey PRIMARY KEY (id),
    CONSTRAINT rail_rollouts_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT rail_rollouts_id_is_shown CHECK (id ~ '^rol_[0-9a-z]{26}$'),
    CONSTRAINT rail_rollouts_rail_form CHECK (rail ~ '^[a-z][a-z_]{0,31}$'),
    CONSTRAINT rail_rollouts_level_is_known CHECK (level IN ('merchant', 'region', 'store', 'terminal')),
    CONSTRAINT rail_rollouts_merchant_is_its_place CHECK ((level = 'merchant') = (place = merchant_id)),
    CONSTRAINT rail_rollouts_place_form CHECK (place ~ '^[a-z][a-z0-9_-]{0,39}$')
);
CREATE INDEX rail_rollouts_of_merchant ON rail_rollouts (merchant_id, rail, level, place, effective_on);

CREATE FUNCTION rollouts_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a rollout is never changed, a later one takes its place: % of %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER rail_rollouts_append_only BEFORE UPDATE OR DELETE ON rail_rollouts
    FOR EACH ROW EXECUTE FUNCTION rollouts_are_final();

-- Which rails are on at a till on a Moscow day, of the rails asked for. A rail that its merchant never rolled out is on
-- everywhere: rollout begins with its first row.
CREATE FUNCTION rails_on_at(p_terminal text, p_rails text[], p_day date) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
    SELECT coalesce(array_agg(r.rail ORDER BY r.place), '{}')
      FROM terminals AS t LEFT JOIN store_places AS p ON p.store_id = t.store_id,
           unnest(p_rails) WITH ORDINALITY AS r (rail, place)
     WHERE t.id = p_terminal
       AND coalesce(
               (SELECT o.is_on FROM rail_rollouts AS o
                 WHERE o.merchant_id = t.merchant_id AND o.rail = r.rail AND o.effective_on <= p_day
                   AND (o.level, o.place) IN (('terminal', t.id), ('store', t.store_id), ('region', p.region),
                                              ('merchant', t.merchant_id))
                 ORDER BY array_position(ARRAY['terminal', 'store', 'region', 'merchant'], o.level),
                          o.effective_on DESC, o.id DESC LIMIT 1),
               NOT EXISTS (SELECT FROM rail_rollouts AS o WHERE o.merchant_id = t.merchant_id AND o.rail = r.rail))
$$;

-- Who stands at tills.
CREATE TABLE cashiers (
    id          text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    number      text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL,
    left_at     timestamptz,
    CONSTRAINT cashiers_pkey PRIMARY KEY (id),
    CONSTRAINT cashiers_merchant_fkey FOREIGN KEY (merchant_id) REFERENCES merchants (id),
    CONSTRAINT cashiers_merchant_key UNIQUE (id, merchant_id),
    CONSTRAINT cashiers_number_key UNIQUE (merchant_id, number),
    CONSTRAINT cashiers_id_is_shown CHECK (id ~ '^csr_[0-9a-z]{26}$'),
    CONSTRAINT cashiers_number_form CHECK (number ~ '^[0-9A-Za-z._-]{1,36}$'),
    CONSTRAINT cashiers_name_length CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT cashiers_left_later CHECK (left_at >= created_at)
);

-- By what a till proves itself: its fingerprint, and a secret for one-time codes that is derived and never kept.
CREATE TABLE terminal_keys (
    id          text COLLATE "C" NOT NULL,
    terminal_id text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    key_check   text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    proved_at   timestamptz,
    expires_at  timestamptz,
    CONSTRAINT terminal_keys_pkey PRIMARY KEY (id),
    CONSTRAINT terminal_keys_terminal_fkey FOREIGN KEY (terminal_id) REFERENCES terminals (id),
    CONSTRAINT terminal_keys_fingerprint_key UNIQUE (fingerprint),
    CONSTRAINT terminal_keys_id_is_shown CHECK (id ~ '^tky_[0-9a-z]{26}$'),
    CONSTRAINT terminal_keys_fingerprint_form CHECK (fingerprint ~ '^[0-9a-f]{32}$'),
    CONSTRAINT terminal_keys_check_form CHECK (key_check ~ '^[0-9a-f]{8}$'),
    CONSTRAINT terminal_keys_proved_later CHECK (proved_at >= created_at),
    CONSTRAINT terminal_keys_expire_later CHECK (expires_at >= created_at)
);
CREATE UNIQUE INDEX terminal_keys_one_lasting ON terminal_keys (terminal_id) WHERE expires_at IS NULL;

-- When a till was last heard, with which program, and what it last told its cashier.
CREATE TABLE terminal_sightings (
    terminal_id text COLLATE "C" NOT NULL,
    seen_at     timestamptz NOT NULL,
    software    text,
    problem     text COLLATE "C",
    problem_at  timestamptz,
    CONSTRAINT terminal_sightings_pkey PRIMARY KEY (terminal_id),
    CONSTRAINT terminal_sightings_terminal_fkey FOREIGN KEY (terminal_id) REFERENCES terminals (id),
    CONSTRAINT terminal_sightings_software_length CHECK (length(software) BETWEEN 1 AND 64),
    CONSTRAINT terminal_sightings_problem_form CHECK (problem ~ '^[a-z_]{1,32}[.][a-z0-9_]{1,64}$'),
    CONSTRAINT terminal_sightings_problem_dated CHECK ((problem IS NULL) = (problem_at IS NULL))
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE ON store_places, premises_settings, cashiers, terminal_keys, terminal_sightings TO kopeyka_app;
GRANT SELECT, INSERT ON rail_rollouts TO kopeyka_app;
GRANT UPDATE (name, address) ON stores TO kopeyka_app;
