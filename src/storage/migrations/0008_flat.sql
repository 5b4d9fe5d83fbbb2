-- Indexes for a database that has grown: what a request, a background step or a sweep reads does not grow with what is stored.
-- tests/it/plans.rs asks both databases for the plan of every statement, and names every index that serves none.

-- The deliverer asks for each subscription what waits longest: the walk starts there and ends at the first that can be sent. The former
-- index began with the time, so that everything owed to a subscription that is paused stood before what could be sent.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (subscription, next_attempt_at, position) WHERE status = 'pending';

-- Dead letters are few and are looked for; the other states are found by walking along the primary key.
DROP INDEX deliveries_by_status;
CREATE INDEX deliveries_dead ON deliveries (subscription, position) WHERE status = 'dead';

-- The revocation list: its length, not the number of certificates, is what making it costs.
CREATE INDEX certificates_revoked ON certificates (issued_by, not_after) WHERE revoked_at IS NOT NULL;

-- Events are removed in the order in which they were written, which is that of `entry`.
DROP INDEX events_by_time;

-- No statement looks for these: the keys are random, so that each row cost a page of its own.
DROP INDEX referrals_by_subject;
DROP INDEX subject_pseudonyms_by_subject;

-- A subscription that its organisation removed is gone for everyone at once; its deliveries are taken away in small steps after that.
ALTER TABLE subscriptions ADD COLUMN removed_at BIGINT;
