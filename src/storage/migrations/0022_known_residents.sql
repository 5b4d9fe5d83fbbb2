-- In a case an organisation asks about residents whom it knows there: by a referral that it sent, or took on.
CREATE INDEX referrals_of_case_sent_for ON referrals (sender, case_id, subject) WHERE case_id IS NOT NULL;
CREATE INDEX referrals_of_case_taken_on_for ON referrals (subject, recipient, case_id) WHERE taken_on = 1;
