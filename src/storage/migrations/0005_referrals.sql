-- Referrals, their sealed sections, and the steps taken in them.

CREATE TABLE referrals (
    id TEXT PRIMARY KEY,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    phase TEXT NOT NULL,
    legal_basis TEXT NOT NULL,
    subject TEXT NOT NULL,
    age_group TEXT,
    priority TEXT NOT NULL,
    based_on TEXT,
    status TEXT NOT NULL,
    status_reason TEXT,
    outcome TEXT,
    held_from TEXT,
    right_organisation TEXT,
    disclosed_at BIGINT,
    reopen_until BIGINT,
    holder TEXT,
    due_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    -- The decision as its sender sees it, and the signed receipt.
    decision TEXT NOT NULL,
    receipt TEXT NOT NULL,
    -- The data key of the sections, wrapped by the key-encryption key; without it they cannot be read any more.
    wrapped_key BYTES
);
CREATE INDEX referrals_by_sender ON referrals (sender, id);
CREATE INDEX referrals_by_recipient ON referrals (recipient, id);
CREATE INDEX referrals_by_subject ON referrals (subject);

CREATE TABLE referral_updates (
    id TEXT PRIMARY KEY,
    referral TEXT NOT NULL REFERENCES referrals (id),
    -- The version of the referral after this step.
    version BIGINT NOT NULL,
    organisation TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    outcome TEXT,
    right_organisation TEXT,
    taken_at BIGINT NOT NULL,
    holder TEXT,
    due_at BIGINT,
    -- JSON list of the categories of its permitted notes.
    categories TEXT NOT NULL,
    -- The decision on its notes, as the one who gave them sees it.
    decision TEXT,
    UNIQUE (referral, version)
);

-- `part` is 'referral' for what came with it, else the id of the update that the note came with.
CREATE TABLE referral_sections (
    referral TEXT NOT NULL REFERENCES referrals (id),
    part TEXT NOT NULL,
    category TEXT NOT NULL,
    -- Order within the part.
    place BIGINT NOT NULL,
    sealed BYTES NOT NULL,
    PRIMARY KEY (referral, part, category)
);
