-- Incidents: that something went to the wrong place, or could not be verified; what each party has to do about it.

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    referral TEXT NOT NULL,
    -- 'wrong-resident', 'wrong-recipient', 'failed-verification'.
    kind TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- Absent where the gateway found it itself.
    reported_by TEXT,
    opened_at BIGINT NOT NULL,
    -- One of a kind for each referral.
    UNIQUE (referral, kind)
);

CREATE INDEX incidents_about ON incidents (subject);

-- What each party has to do: assess it in time, and delete what it received.
CREATE TABLE incident_duties (
    organisation TEXT NOT NULL,
    incident TEXT NOT NULL REFERENCES incidents (id),
    aware_at BIGINT NOT NULL,
    assess_due_at BIGINT NOT NULL,
    assess_told BIGINT NOT NULL,
    -- The last assessment: 'notified', 'risk-unlikely', 'no-breach'; absent before the first.
    assessment TEXT,
    -- JSON list of what it received; absent where it has nothing to delete.
    received TEXT,
    delete_due_at BIGINT,
    delete_told BIGINT NOT NULL,
    deleted_at BIGINT,
    -- 'nobody', 'inside', 'outside'; who else had seen it.
    passed_on TEXT,
    -- The first deadline that is still to be told when it passes.
    alarm_at BIGINT,
    version BIGINT NOT NULL,
    PRIMARY KEY (organisation, incident)
);
CREATE INDEX incident_duties_of ON incident_duties (incident, organisation);
CREATE INDEX incident_duties_due ON incident_duties (alarm_at, incident, organisation) WHERE alarm_at IS NOT NULL;
CREATE INDEX incident_assessments_open ON incident_duties (assess_due_at) WHERE assessment IS NULL;
CREATE INDEX incident_deletions_open ON incident_duties (delete_due_at) WHERE delete_due_at IS NOT NULL AND deleted_at IS NULL;

-- How a party assessed it. Nothing is ever changed in it; what is known later is another assessment.
CREATE TABLE incident_assessments (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    incident TEXT NOT NULL REFERENCES incidents (id),
    -- The version of the duty after it.
    version BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    notified_at BIGINT,
    delay TEXT,
    residents TEXT,
    recorded_at BIGINT NOT NULL,
    UNIQUE (incident, organisation, version)
);

-- PostgreSQL only
-- Read by organisation, in order of the identifiers: see 0021.
ALTER TABLE incident_duties ALTER COLUMN organisation SET (n_distinct = 600);
