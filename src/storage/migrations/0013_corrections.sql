-- Corrections: where a section came from, whether it was handed over, and what became of one that was wrong.

-- 'REFERRAL/PART' of the section that this one is a copy of, whatever copies lie between; absent where it was given here, and in
-- copies from before this migration, which nobody can tell any more.
ALTER TABLE referral_sections ADD COLUMN origin TEXT;
-- When it was first handed over. Before this migration that was known of a referral as a whole.
ALTER TABLE referral_sections ADD COLUMN disclosed_at BIGINT;
UPDATE referral_sections SET disclosed_at = (SELECT r.disclosed_at FROM referrals r WHERE r.id = referral_sections.referral);
-- When its content was replaced after it was handed over.
ALTER TABLE referral_sections ADD COLUMN corrected_at BIGINT;
-- When it was retracted; `sealed` is empty then.
ALTER TABLE referral_sections ADD COLUMN retracted_at BIGINT;
CREATE INDEX referral_sections_by_origin ON referral_sections (origin, referral, part, place) WHERE origin IS NOT NULL;

CREATE TABLE referral_corrections (
    id TEXT PRIMARY KEY,
    referral TEXT NOT NULL REFERENCES referrals (id),
    -- The version of the referral after it.
    version BIGINT NOT NULL,
    -- The update that the sections came with; absent where they came with the referral.
    update_id TEXT,
    -- Who corrected; the referral may be a copy of the one that they named.
    organisation TEXT NOT NULL,
    reason TEXT NOT NULL,
    corrected_at BIGINT NOT NULL,
    -- JSON list: category, effect, and whether the other party is told.
    sections TEXT NOT NULL,
    -- The decision on what replaces them, as the one who gave them sees it.
    decision TEXT,
    UNIQUE (referral, version)
);
