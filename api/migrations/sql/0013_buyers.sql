-- Buyers as the plan engine knows them. Personal data is here and in no other table, entry, event or log.

CREATE TABLE buyers (
    id                text COLLATE "C" NOT NULL,
    phone             text COLLATE "C" NOT NULL,
    first_name        text,
    last_name         text,
    middle_name       text,
    email             text COLLATE "C",
    born_on           date,
    phone_verified_at timestamptz,
    created_at        timestamptz NOT NULL,
    version           integer NOT NULL DEFAULT 1,
    CONSTRAINT buyers_pkey PRIMARY KEY (id),
    CONSTRAINT buyers_phone_key UNIQUE (phone),
    CONSTRAINT buyers_id_is_shown CHECK (id ~ '^byr_[0-9a-z]{26}$'),
    CONSTRAINT buyers_phone_form CHECK (phone ~ '^[+][1-9][0-9]{9,14}$'),
    CONSTRAINT buyers_version_positive CHECK (version > 0)
);

GRANT SELECT, INSERT, UPDATE ON buyers TO kopeyka_app;
