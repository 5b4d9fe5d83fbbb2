-- What residents ask by right: objections, restrictions, and being informed of what a party received about them.

-- An objection (art. 21 AVG), as the party that it was made to recorded it.
CREATE TABLE objections (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- JSON list; absent where it is against every purpose.
    purposes TEXT,
    obtained_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    -- Why the term was extended, and when the resident heard of that; at most once.
    extension TEXT,
    extension_informed_at BIGINT,
    -- When it was told that it is overdue.
    overdue_at BIGINT,
    -- 'upheld', 'overridden'; absent until it is weighed.
    outcome TEXT,
    ground TEXT,
    informed_at BIGINT,
    method TEXT,
    weighed_at BIGINT,
    -- 'taken-back', when and how the resident said so, and when that was recorded; absent until then.
    ending TEXT,
    taken_back_at BIGINT,
    taken_back_method TEXT,
    ended_at BIGINT,
    -- 1 until it is overridden or taken back.
    stands BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX objections_of ON objections (organisation, id);
CREATE INDEX objections_about ON objections (subject);
CREATE INDEX objections_open ON objections (due_at) WHERE weighed_at IS NULL AND ended_at IS NULL;
CREATE INDEX objections_due ON objections (due_at, id) WHERE weighed_at IS NULL AND ended_at IS NULL AND overdue_at IS NULL;

-- A restriction of processing (art. 18 AVG), as the party that restricts recorded it.
CREATE TABLE restrictions (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    subject TEXT NOT NULL,
    ground TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    -- When the resident heard that it ends, before it did.
    informed_at BIGINT,
    method TEXT,
    ended_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX restrictions_of ON restrictions (organisation, id);
CREATE INDEX restrictions_about ON restrictions (subject, organisation);

-- Along what is one resident's it is looked for what was given, and for who had received something.
CREATE INDEX referrals_about ON referrals (subject, id);

-- Who had received something and was told (art. 19 AVG): the other party of each referral.
CREATE TABLE restriction_notices (
    restriction TEXT NOT NULL REFERENCES restrictions (id),
    referral TEXT NOT NULL,
    organisation TEXT NOT NULL,
    PRIMARY KEY (restriction, referral)
);

-- That whoever received content about a resident from somebody else informs the resident (art. 14 AVG).
CREATE TABLE informing_duties (
    id TEXT PRIMARY KEY,
    referral TEXT NOT NULL,
    -- Whose duty it is: who received.
    organisation TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- When the other party gave what was read first.
    given_at BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    overdue_at BIGINT,
    -- The last of the notifications; absent before the first.
    outcome TEXT,
    version BIGINT NOT NULL,
    UNIQUE (referral, organisation)
);
CREATE INDEX informing_duties_of ON informing_duties (organisation, id);
CREATE INDEX informing_duties_open ON informing_duties (due_at) WHERE outcome IS NULL;
CREATE INDEX informing_duties_due ON informing_duties (due_at, id) WHERE outcome IS NULL AND overdue_at IS NULL;

-- How the resident was informed, or why that is not owed. Nothing is ever changed in it.
CREATE TABLE informing_notifications (
    id TEXT PRIMARY KEY,
    duty TEXT NOT NULL REFERENCES informing_duties (id),
    -- The version of the duty after it.
    version BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    informed_at BIGINT,
    method TEXT,
    recorded_at BIGINT NOT NULL,
    UNIQUE (duty, version)
);

-- PostgreSQL only
-- Read by organisation, in order of the identifiers: see 0021.
ALTER TABLE objections ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE restrictions ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE informing_duties ALTER COLUMN organisation SET (n_distinct = 600);
