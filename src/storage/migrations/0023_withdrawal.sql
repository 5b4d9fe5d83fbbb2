-- Withdrawal with confirmed effect: what was given under which record, what a withdrawal still has to bring about, and what each organisation that
-- had received something answers.

-- Who reported it, where that is not who recorded it; and what was reported, which may be narrower than the record.
ALTER TABLE consents ADD COLUMN withdrawn_by TEXT;
ALTER TABLE consents ADD COLUMN reported_recipient TEXT;
ALTER TABLE consents ADD COLUMN reported_purpose TEXT;
-- When it was withdrawn, until everything that follows from that has been written; absent from then on.
ALTER TABLE consents ADD COLUMN to_settle BIGINT;
CREATE INDEX consents_to_settle ON consents (to_settle, id) WHERE to_settle IS NOT NULL;

-- A section that the gateway keeps (handed_over = 0) or handed over (1) on the strength of a record of who gives it.
CREATE TABLE consent_uses (
    consent TEXT NOT NULL,
    referral TEXT NOT NULL,
    -- As in referral_sections.
    part TEXT NOT NULL,
    category TEXT NOT NULL,
    handed_over BIGINT NOT NULL,
    PRIMARY KEY (consent, referral, part, category, handed_over)
);

-- When it was destroyed because a record that it rested on was withdrawn; `retracted_at` is set with it.
ALTER TABLE referral_sections ADD COLUMN withdrawn_at BIGINT;

-- What an organisation that received something under a consent has to confirm after it was withdrawn. It knows the withdrawal by `id` alone.
CREATE TABLE consent_confirmations (
    id TEXT PRIMARY KEY,
    consent TEXT NOT NULL,
    -- Who recorded the consent, and gave.
    recorder TEXT NOT NULL,
    -- Who received and confirms.
    organisation TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- JSON list: referral, update and categories of what it received.
    received TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    -- When it was noted that nothing was confirmed in time.
    overdue_at BIGINT,
    -- What was confirmed; absent until then.
    outcome TEXT,
    legal_basis TEXT,
    retention TEXT,
    confirmed_at BIGINT
);
CREATE INDEX consent_confirmations_by_consent ON consent_confirmations (consent, id);
CREATE INDEX consent_confirmations_by_organisation ON consent_confirmations (organisation, id);
CREATE INDEX consent_confirmations_by_recorder ON consent_confirmations (recorder, id);
CREATE INDEX consent_confirmations_open ON consent_confirmations (due_at, id) WHERE confirmed_at IS NULL;
CREATE INDEX consent_confirmations_to_note ON consent_confirmations (due_at, id) WHERE confirmed_at IS NULL AND overdue_at IS NULL;

-- PostgreSQL only
ALTER TABLE consent_confirmations ALTER COLUMN organisation SET (n_distinct = 600), ALTER COLUMN recorder SET (n_distinct = 600);
