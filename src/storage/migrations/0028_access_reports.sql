-- Access reports (art. 15 AVG): what the log says of one resident, in the words of one organisation (a pseudonym is of one organisation), and what was
-- declared and confirmed about them. Only what says of sections what became of them: a check gives nothing to anybody.
CREATE INDEX audit_records_by_subject ON audit_records (subject, id)
    WHERE subject IS NOT NULL AND sections IS NOT NULL AND kind <> 'check';
CREATE INDEX emergency_accesses_about ON emergency_accesses (subject);
CREATE INDEX consent_confirmations_about ON consent_confirmations (subject);

-- Every organisation answers for what it gave and got: the clients that were registered before may do so too.
UPDATE clients SET scopes = scopes || ' access-reports' WHERE client_id = organisation AND scopes NOT LIKE '%access-reports%';
