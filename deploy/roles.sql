-- Databases and roles on a PostgreSQL server of your own (15 or newer). Run once as a superuser:
--     psql -v migrator_password=… -v app_password=… -v sequencer_password=… -v vault_password=… \
--          -v vault_sequencer_password=… -f roles.sql
-- The embedded server gets the same from api/bootstrap.py; a test compares the two.

CREATE ROLE kopeyka_owner NOLOGIN;
CREATE ROLE kopeyka_migrator LOGIN PASSWORD :'migrator_password';
CREATE ROLE kopeyka_app LOGIN PASSWORD :'app_password';
CREATE ROLE kopeyka_sequencer LOGIN PASSWORD :'sequencer_password';
CREATE ROLE kopeyka_vault LOGIN PASSWORD :'vault_password';
CREATE ROLE kopeyka_vault_sequencer LOGIN PASSWORD :'vault_sequencer_password';
GRANT kopeyka_owner TO kopeyka_migrator;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;

CREATE DATABASE kopeyka OWNER kopeyka_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE kopeyka FROM PUBLIC;
GRANT CONNECT ON DATABASE kopeyka TO kopeyka_migrator, kopeyka_app, kopeyka_sequencer;
\connect kopeyka
ALTER SCHEMA public OWNER TO kopeyka_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO kopeyka_app, kopeyka_sequencer;

CREATE DATABASE kopeyka_vault OWNER kopeyka_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE kopeyka_vault FROM PUBLIC;
GRANT CONNECT ON DATABASE kopeyka_vault TO kopeyka_migrator, kopeyka_vault, kopeyka_vault_sequencer;
\connect kopeyka_vault
ALTER SCHEMA public OWNER TO kopeyka_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO kopeyka_vault, kopeyka_vault_sequencer;
-- The server's log may say that a statement of the vault failed, and never with what values.
ALTER DATABASE kopeyka_vault SET log_statement = 'none';
ALTER DATABASE kopeyka_vault SET log_min_error_statement = 'panic';
ALTER DATABASE kopeyka_vault SET log_min_duration_statement = '-1';
ALTER DATABASE kopeyka_vault SET log_min_duration_sample = '-1';
ALTER DATABASE kopeyka_vault SET log_duration = 'off';
ALTER DATABASE kopeyka_vault SET log_parameter_max_length = '0';
ALTER DATABASE kopeyka_vault SET log_parameter_max_length_on_error = '0';
ALTER DATABASE kopeyka_vault SET log_error_verbosity = 'terse';
ALTER DATABASE kopeyka_vault SET log_executor_stats = 'off';
ALTER DATABASE kopeyka_vault SET log_statement_stats = 'off';
