-- The key store: what the keys of sections are made of beside the data key of their referral, in a database of its own.

-- One random share for each section, sealed under the key-encryption key. Whoever deletes it destroys the section, in every backup too.
CREATE TABLE key_shares (
    id TEXT PRIMARY KEY,
    sealed BYTES NOT NULL,
    -- Shares are made in batches, before there are sections for them.
    made_at BIGINT NOT NULL
);
CREATE INDEX key_shares_by_age ON key_shares (made_at, id);

-- Which key store this is ('store'), and up to where those that no section uses were removed ('swept').
CREATE TABLE key_store_marks (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
