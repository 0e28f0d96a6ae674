-- The banks that pay by SBP links, in NSPK's order: for the list a buyer chooses from, and for links into their
-- applications.

CREATE TABLE sbp_banks (
    id                   text COLLATE "C" NOT NULL,
    place                integer,
    name                 text NOT NULL,
    app_schema           text COLLATE "C" NOT NULL,
    package              text COLLATE "C",
    logo_url             text COLLATE "C",
    is_dr_active         boolean NOT NULL,
    is_web_client_active boolean NOT NULL,
    web_client_url       text COLLATE "C",
    web_client_url_sub   text COLLATE "C",
    param_separator      text COLLATE "C",
    imported_at          timestamptz NOT NULL,
    gone_at              timestamptz,
    CONSTRAINT sbp_banks_pkey PRIMARY KEY (id),
    -- Checked at the end of each statement, so that one statement may give the whole list new places.
    CONSTRAINT sbp_banks_place_key UNIQUE (place) DEFERRABLE,
    CONSTRAINT sbp_banks_id_is_digits CHECK (id ~ '^[0-9]{12}$'),
    CONSTRAINT sbp_banks_schema_of_id CHECK (app_schema = 'bank' || id),
    CONSTRAINT sbp_banks_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT sbp_banks_place_positive CHECK (place > 0),
    CONSTRAINT sbp_banks_listed_or_gone CHECK ((place IS NULL) = (gone_at IS NOT NULL)),
    CONSTRAINT sbp_banks_web_client_has_url CHECK (NOT is_web_client_active OR web_client_url IS NOT NULL)
);

-- Open codes that came due in the same stretch of time are asked about together: a question writes one row
-- here and none of the codes'. A code belongs to the window that its next_poll_at, set once when its link is
-- registered, lies in; codes due after the last window are new.
CREATE TABLE sbp_poll_windows (
    through_at   timestamptz NOT NULL,
    after_at     timestamptz NOT NULL,
    polls        integer NOT NULL DEFAULT 0,
    next_poll_at timestamptz NOT NULL,
    CONSTRAINT sbp_poll_windows_pkey PRIMARY KEY (through_at),
    CONSTRAINT sbp_poll_windows_after_key UNIQUE (after_at),
    CONSTRAINT sbp_poll_windows_lasts CHECK (through_at > after_at),
    CONSTRAINT sbp_poll_windows_polls_not_negative CHECK (polls >= 0)
);
CREATE INDEX sbp_poll_windows_next_poll ON sbp_poll_windows (next_poll_at);

-- Who may do what -------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE ON sbp_banks TO kopeyka_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sbp_poll_windows TO kopeyka_app;
