-- Feeds of roles beside those of organisations, and what the monitor counts of cases.

-- The column `organisation` of events, feeds and subscriptions holds the name of a feed from now on, which is the id of the client that reads it: the
-- OIN for an organisation's own system, as before, or the OIN and a role. It keeps its name so that the version before can run beside this one.

-- A privacy officer is told what was told to its organisation's system until now.
UPDATE clients SET scopes = scopes || ' events'
    WHERE client_id = organisation || '-privacy-officer' AND ' ' || scopes || ' ' NOT LIKE '% events %';

-- The step-ups of cases of a period.
CREATE INDEX case_history_step_ups ON case_history (taken_at, case_id, version, place) WHERE happened = 'stepped-up';
