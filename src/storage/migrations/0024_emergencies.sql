-- Break-glass: what was declared, its review, and whether the resident was informed.

-- A declaration, with the review that is opened with it and the state of the duty to inform. The review has the same id.
CREATE TABLE emergency_accesses (
    id TEXT PRIMARY KEY,
    -- Who declared it, and to whom it opens something.
    organisation TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- A role of the covenant, and codes of closed lists.
    role TEXT NOT NULL,
    reason TEXT NOT NULL,
    cannot_consent TEXT,
    -- JSON list.
    categories TEXT NOT NULL,
    covenant_version TEXT NOT NULL,
    declared_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    ended_at BIGINT,
    -- The organisation whose privacy officer concludes the review.
    reviewer TEXT NOT NULL,
    review_due_at BIGINT NOT NULL,
    -- Whether that the deadline passed was told.
    review_told BIGINT NOT NULL,
    -- 'justified', 'partly-justified', 'not-justified'; absent while the review is open.
    conclusion TEXT,
    measures TEXT,
    deleted_categories TEXT,
    concluded_by TEXT,
    concluded_at BIGINT,
    -- Absent once the resident was informed or it was recorded that this is not possible.
    inform_due_at BIGINT,
    inform_told BIGINT NOT NULL,
    -- Working days that a postponement lasts.
    inform_days BIGINT NOT NULL,
    -- The last of the notifications: 'informed', 'postponed', 'not-possible'; absent before the first.
    notification TEXT,
    -- The first deadline that is still to be told when it passes.
    alarm_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX emergency_accesses_of ON emergency_accesses (organisation, id);
CREATE INDEX emergency_reviews_open ON emergency_accesses (review_due_at) WHERE concluded_at IS NULL;
CREATE INDEX emergency_informing_open ON emergency_accesses (inform_due_at) WHERE inform_due_at IS NOT NULL;
CREATE INDEX emergency_accesses_due ON emergency_accesses (alarm_at, id) WHERE alarm_at IS NOT NULL;

-- Whose privacy officers read the review: the two parties' and the covenant's.
CREATE TABLE emergency_readers (
    organisation TEXT NOT NULL,
    access TEXT NOT NULL REFERENCES emergency_accesses (id),
    PRIMARY KEY (organisation, access)
);
CREATE INDEX emergency_readers_of ON emergency_readers (access);

-- How the resident was informed, or why not (yet). Nothing is ever changed in it.
CREATE TABLE emergency_notifications (
    id TEXT PRIMARY KEY,
    access TEXT NOT NULL REFERENCES emergency_accesses (id),
    -- The version of the declaration after it.
    version BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    informed_at BIGINT,
    method TEXT,
    reason TEXT,
    recorded_at BIGINT NOT NULL,
    UNIQUE (access, version)
);

-- Under which declaration a referral was sent. What its recipient is shown of it never changes, so it stands here.
ALTER TABLE referrals ADD COLUMN emergency_access TEXT;
ALTER TABLE referrals ADD COLUMN emergency_reason TEXT;
ALTER TABLE referrals ADD COLUMN emergency_declared_at BIGINT;
ALTER TABLE referrals ADD COLUMN emergency_valid_until BIGINT;
-- When a review found that it was not justified: from then on the recipient deletes what it has.
ALTER TABLE referrals ADD COLUMN emergency_delete_at BIGINT;
CREATE INDEX referrals_under_emergency ON referrals (emergency_access, id) WHERE emergency_access IS NOT NULL;

-- PostgreSQL only
-- Read by organisation, in order of the identifiers: see 0021.
ALTER TABLE emergency_accesses ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE emergency_readers ALTER COLUMN organisation SET (n_distinct = 600);
