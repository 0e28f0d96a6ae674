REVOKE UPDATE (name, address) ON stores FROM kopeyka_app;
DROP TABLE terminal_sightings, terminal_keys, cashiers;
DROP FUNCTION rails_on_at(text, text[], date);
DROP TABLE rail_rollouts, premises_settings, store_places;
DROP FUNCTION rollouts_are_final();
