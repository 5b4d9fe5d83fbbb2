-- A case may have any number of referrals: what it asks of them is found by an index.

-- Whether the purpose rests on taking part in a case; whether the recipient has taken it on; whether its parties do not get it further, as far as
-- that was noted. The last two are what the table of steps says, written with each step.
ALTER TABLE referrals ADD COLUMN rests_on_case BIGINT NOT NULL DEFAULT 0;
ALTER TABLE referrals ADD COLUMN taken_on BIGINT NOT NULL DEFAULT 0;
ALTER TABLE referrals ADD COLUMN stuck BIGINT NOT NULL DEFAULT 0;

UPDATE referrals SET rests_on_case = 1 WHERE purpose IN ('case-coordination', 'process-direction');
UPDATE referrals SET taken_on = 1
WHERE status IN ('accepted', 'in-progress', 'completed') OR (status = 'on-hold' AND COALESCE(held_from, '') <> 'received');
UPDATE referrals SET stuck = 1
WHERE (status IN ('requested', 'received', 'accepted', 'in-progress', 'on-hold') AND (recipient_unable > 0 OR missed >= 2))
    OR (status IN ('rejected', 'cancelled', 'failed', 'completed') AND chain IS NULL AND missed >= 2
        AND NOT (sender_unable > 0 AND recipient_unable > 0));

-- By whose and then in which case, so that no plan takes one of these for another and looks through the case. Who sent and got what; what is open, and
-- for which residents.
DROP INDEX referrals_by_case;
CREATE INDEX referrals_of_case_sent ON referrals (sender, case_id, id) WHERE case_id IS NOT NULL;
CREATE INDEX referrals_of_case_received ON referrals (recipient, case_id, id) WHERE case_id IS NOT NULL;
CREATE INDEX referrals_of_case_open ON referrals (case_id, subject, rests_on_case) WHERE due_at IS NOT NULL;
-- Who takes part, and which residents are helped.
CREATE INDEX referrals_of_case_taken_by ON referrals (recipient, case_id, rests_on_case, id) WHERE taken_on = 1;
CREATE INDEX referrals_of_case_taken_from ON referrals (sender, case_id, rests_on_case) WHERE taken_on = 1;
CREATE INDEX referrals_of_case_taken_for ON referrals (subject, case_id, rests_on_case) WHERE taken_on = 1;
-- What does not get further, and who lets it wait.
CREATE INDEX referrals_of_case_stuck ON referrals (case_id, id) WHERE stuck = 1;
CREATE INDEX referrals_of_case_late ON referrals (holder, case_id, missed, due_at) WHERE late_since IS NOT NULL;
