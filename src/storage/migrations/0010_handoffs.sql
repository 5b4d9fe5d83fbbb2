-- The hand-over monitor: figures that may be shown, made once for each period and reader, and since when a referral is late.

-- `figures` is JSON and holds nothing that may not be shown.
CREATE TABLE handoff_snapshots (
    reader TEXT NOT NULL,
    period TEXT NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (reader, period)
);

-- The first of the deadlines in a row that were missed; absent where none was.
ALTER TABLE referrals ADD COLUMN late_since BIGINT;
UPDATE referrals SET late_since = due_at WHERE missed > 0;
CREATE INDEX referrals_late ON referrals (late_since) WHERE late_since IS NOT NULL;
