-- Parties that cannot act: only of what is open. What was closed while one could not act is looked at when it is opened again.

DROP INDEX referrals_with_unable;
CREATE INDEX referrals_with_unable ON referrals (id) WHERE sender_unable + recipient_unable > 0 AND duty IS NOT NULL;

-- What is due in cases, with a place to go on from.
DROP INDEX cases_due;
CREATE INDEX cases_due ON cases (due_at, id) WHERE due_at IS NOT NULL;
