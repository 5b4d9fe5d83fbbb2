-- Residents as each organisation knows them, and their consents, secrecy releases and care agreements.

-- `subject` is the keyed pseudonym of the BSN that only the gateway uses; `pseudonym` is what one organisation sees.
CREATE TABLE subject_pseudonyms (
    organisation TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (organisation, pseudonym)
);
CREATE INDEX subject_pseudonyms_by_subject ON subject_pseudonyms (subject);

-- The age group last stated for a resident on a referral that was created.
CREATE TABLE subject_ages (
    subject TEXT PRIMARY KEY,
    age_group TEXT NOT NULL,
    stated_at BIGINT NOT NULL
);

CREATE TABLE consents (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    given_by TEXT NOT NULL,
    representative_kind TEXT,
    explicit BIGINT NOT NULL,
    recipients TEXT NOT NULL,
    purposes TEXT NOT NULL,
    categories TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    obtained_at BIGINT NOT NULL,
    method TEXT NOT NULL,
    -- Where the evidence is in the recorder's own file, sealed.
    evidence_ref BYTES,
    recorded_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    withdrawal_reason TEXT,
    version BIGINT NOT NULL
);
CREATE INDEX consents_by_organisation ON consents (organisation, id);
CREATE INDEX consents_by_subject ON consents (subject, organisation);
