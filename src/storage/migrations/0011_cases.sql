-- Cases: who coordinated one and when it was stepped up; and which open cases a party coordinates that can no longer act.

CREATE TABLE case_history (
    case_id TEXT NOT NULL REFERENCES cases (id),
    -- The version of the case after the step, and the order within the step.
    version BIGINT NOT NULL,
    place BIGINT NOT NULL,
    -- 'coordinator' (from `organisation` to `other`), 'stepped-up' (by `organisation`), 'stepped-down'.
    happened TEXT NOT NULL,
    organisation TEXT,
    other TEXT,
    reason TEXT,
    until BIGINT,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (case_id, version, place)
);

CREATE INDEX cases_open_by_coordinator ON cases (coordinator, id) WHERE closed_at IS NULL;
