-- Erasure by destroying keys, and retention that proves what it removed.

-- The share (in the key store) that the key of this section is made of, beside the data key; absent in sections from before this migration, which
-- are sealed under the data key alone.
ALTER TABLE referral_sections ADD COLUMN key_share TEXT;
CREATE INDEX referral_sections_by_share ON referral_sections (key_share) WHERE key_share IS NOT NULL;

-- Shares that are to be destroyed, written with the change that takes their section away, and those that were.
CREATE TABLE key_destructions (
    share TEXT PRIMARY KEY,
    -- The erasure that asks for it; absent where something else does.
    erasure TEXT,
    requested_at BIGINT NOT NULL,
    -- Absent until its bytes are gone from the key store.
    destroyed_at BIGINT
);
CREATE INDEX key_destructions_pending ON key_destructions (requested_at, share) WHERE destroyed_at IS NULL;
CREATE INDEX key_destructions_of_erasure ON key_destructions (erasure, share) WHERE erasure IS NOT NULL AND destroyed_at IS NULL;

-- What an organisation had erased of what it gave about a resident (art. 17 AVG). Which resident that was is not kept.
CREATE TABLE erasures (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    ground TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    -- How many referrals something was erased from, how many sections, and how many referrals' other party was told.
    referrals BIGINT NOT NULL,
    sections BIGINT NOT NULL,
    told BIGINT NOT NULL,
    -- Absent until the last of its shares is destroyed.
    destroyed_at BIGINT
);
CREATE INDEX erasures_of ON erasures (organisation, id);
CREATE INDEX erasures_pending ON erasures (requested_at, id) WHERE destroyed_at IS NULL;

-- Since when the sender, or the recipient, has to delete what it received from the other.
ALTER TABLE referrals ADD COLUMN sender_deletes_since BIGINT;
ALTER TABLE referrals ADD COLUMN recipient_deletes_since BIGINT;

-- When nothing was left to do in a referral; absent while something is. Of what had ended before this migration the last change is taken.
ALTER TABLE referrals ADD COLUMN ended_at BIGINT;
UPDATE referrals SET ended_at = updated_at WHERE duty IS NULL AND status IN ('rejected', 'cancelled', 'completed', 'failed', 'entered-in-error');
-- When its content had had its term and was removed.
ALTER TABLE referrals ADD COLUMN content_removed_at BIGINT;
CREATE INDEX referrals_ended ON referrals (ended_at, id) WHERE ended_at IS NOT NULL AND content_removed_at IS NULL;

-- Those whose own term may be over.
CREATE INDEX referrals_without_content ON referrals (ended_at, id) WHERE ended_at IS NOT NULL AND content_removed_at IS NOT NULL;
CREATE INDEX cases_closed ON cases (closed_at, id) WHERE closed_at IS NOT NULL;
CREATE INDEX consents_ended ON consents (COALESCE(withdrawn_at, valid_until), id);

-- What was removed because the covenant's term for it was over, and the proof of it. Nothing is ever changed in it.
CREATE TABLE retention_removals (
    id TEXT PRIMARY KEY,
    -- What of: 'content', 'referral', 'consent', 'event', 'audit'.
    kind TEXT NOT NULL,
    removed_at BIGINT NOT NULL,
    covenant_version TEXT NOT NULL,
    days BIGINT NOT NULL,
    -- How many, and when the terms of the oldest and the newest of it began.
    number BIGINT NOT NULL,
    oldest BIGINT NOT NULL,
    newest BIGINT NOT NULL,
    -- SHA-256 over the names of what was removed, sorted, one to a line.
    digest TEXT NOT NULL,
    -- The names, one to a line; of audit records instead the first and the last place in the log that was come by.
    names TEXT,
    first_place BIGINT,
    last_place BIGINT,
    -- The audit record that says the same.
    record TEXT NOT NULL
);
CREATE INDEX retention_removals_places ON retention_removals (last_place) WHERE last_place IS NOT NULL;

-- PostgreSQL only
ALTER TABLE erasures ALTER COLUMN organisation SET (n_distinct = 600);
