-- The safety veto: a sender's word that using the channel at all endangers a resident. The table is the sender's own; nothing else in the database
-- refers to it, and nobody but the sender is ever told of a row of it.
CREATE TABLE vetoes (
    id TEXT PRIMARY KEY,
    -- Who set it, and about whom.
    organisation TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The referral of its own that it was set on; absent where there was none yet.
    referral TEXT,
    set_at BIGINT NOT NULL,
    -- Working days of each term, by the covenant of that moment.
    days BIGINT NOT NULL,
    -- Until when its holder looks at it again; absent once the resident is helped otherwise, or it ended.
    due_at BIGINT,
    missed BIGINT NOT NULL,
    -- The deadline that is still to be told when it passes.
    alarm_at BIGINT,
    -- 'resolved-otherwise', 'continued', 'channel-safe-again'; absent before the first.
    conclusion TEXT,
    concluded_at BIGINT,
    -- From then on it blocks nothing.
    ended_at BIGINT,
    -- 'may-be-reported', 'must-not-be-reported'; absent before the sender's privacy officer has weighed it.
    weighing TEXT,
    weighed_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX vetoes_of ON vetoes (organisation, id);
CREATE INDEX vetoes_about ON vetoes (subject, organisation);
CREATE INDEX vetoes_due ON vetoes (alarm_at, id) WHERE alarm_at IS NOT NULL;

-- PostgreSQL only
-- Read by organisation, in order of the identifiers: see 0021.
ALTER TABLE vetoes ALTER COLUMN organisation SET (n_distinct = 600);
