-- To which resident an organisation's match (name, birth date, postcode) leads. Only a keyed digest of the data is here.
CREATE TABLE subject_links (
    match_key TEXT NOT NULL,
    organisation TEXT NOT NULL,
    -- None: the organisation said that several residents have these data, so that they lead to nobody.
    subject TEXT,
    -- Whether it was given together with the BSN or a pseudonym, by a party that may use the BSN: counts for those that may not.
    vouched BIGINT NOT NULL,
    linked_at BIGINT NOT NULL,
    PRIMARY KEY (match_key, organisation)
);
