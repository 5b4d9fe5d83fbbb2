-- The closed chain: what a referral's state needs beyond its status, and cases.

ALTER TABLE referrals ADD COLUMN case_id TEXT;
ALTER TABLE referrals ADD COLUMN extended BIGINT NOT NULL DEFAULT 0;
ALTER TABLE referrals ADD COLUMN cancellation TEXT;
-- How the chain goes on after an end without help: 'referred-on', 'resolved' (with `resolution`), 'stepped-up'.
ALTER TABLE referrals ADD COLUMN chain TEXT;
ALTER TABLE referrals ADD COLUMN resolution TEXT;
ALTER TABLE referrals ADD COLUMN sender_unable BIGINT NOT NULL DEFAULT 0;
ALTER TABLE referrals ADD COLUMN recipient_unable BIGINT NOT NULL DEFAULT 0;
-- For what `due_at` runs, and how many deadlines in a row were missed. Both are absent exactly where there is no holder.
ALTER TABLE referrals ADD COLUMN duty TEXT;
ALTER TABLE referrals ADD COLUMN missed BIGINT NOT NULL DEFAULT 0;
-- The clock of work that stands still: microseconds left.
ALTER TABLE referrals ADD COLUMN paused_left BIGINT;
ALTER TABLE referrals ADD COLUMN paused_missed BIGINT;

UPDATE referrals SET duty = CASE
    WHEN status = 'requested' THEN 'receive'
    WHEN status = 'received' THEN 'decide'
    WHEN status = 'on-hold' AND held_from = 'received' THEN 'supplement'
    WHEN status IN ('accepted', 'in-progress', 'on-hold') THEN 'work'
    ELSE 'go-on' END
WHERE holder IS NOT NULL;

-- Which resource of the referral the step was posted to; 'deadline' and 'standing' are the gateway's own.
ALTER TABLE referral_updates ADD COLUMN operation TEXT NOT NULL DEFAULT 'updates';

-- What is due; and what a party holds that can no longer act.
CREATE INDEX referrals_due ON referrals (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX referrals_by_holder ON referrals (holder, id) WHERE holder IS NOT NULL;
CREATE INDEX referrals_with_unable ON referrals (id) WHERE sender_unable + recipient_unable > 0;
CREATE INDEX referrals_by_case ON referrals (case_id, id) WHERE case_id IS NOT NULL;

CREATE TABLE cases (
    id TEXT PRIMARY KEY,
    coordinator TEXT NOT NULL,
    offered_to TEXT,
    offer_due_at BIGINT,
    proposal_due_at BIGINT,
    proposal_overdue BIGINT NOT NULL DEFAULT 0,
    step_up_reason TEXT,
    stepped_up_until BIGINT,
    idle_until BIGINT,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    -- The earliest of the deadlines above.
    due_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX cases_due ON cases (due_at) WHERE due_at IS NOT NULL;

-- Who takes part by invitation of the coordinator.
CREATE TABLE case_invitations (
    case_id TEXT NOT NULL REFERENCES cases (id),
    organisation TEXT NOT NULL,
    invited_at BIGINT NOT NULL,
    PRIMARY KEY (case_id, organisation)
);

-- Each reader knows a case by an id of its own.
CREATE TABLE case_aliases (
    alias TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (id),
    organisation TEXT NOT NULL,
    UNIQUE (case_id, organisation)
);
CREATE INDEX case_aliases_by_organisation ON case_aliases (organisation, alias);
