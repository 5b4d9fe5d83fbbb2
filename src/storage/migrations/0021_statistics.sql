-- What is stored is read by organisation, in order of the identifiers: along an index that begins with the organisation. PostgreSQL counts how many
-- organisations there are, finds few, and takes the walk along all identifiers for as good, passing over those of others. It is not for an
-- organisation that has hardly any: it walks along everything. So the planner is told that there are 600, and never has a reason to
-- leave these indexes. It believes that from the next count on.

-- PostgreSQL only
ALTER TABLE referrals ALTER COLUMN sender SET (n_distinct = 600), ALTER COLUMN recipient SET (n_distinct = 600),
    ALTER COLUMN holder SET (n_distinct = 600);
ALTER TABLE cases ALTER COLUMN coordinator SET (n_distinct = 600);
ALTER TABLE case_aliases ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE covenant_case_signatures ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE consents ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE audit_records ALTER COLUMN organisation SET (n_distinct = 600);
ALTER TABLE events ALTER COLUMN organisation SET (n_distinct = 600);
ANALYZE referrals, cases, case_aliases, covenant_case_signatures, consents, audit_records, events;
