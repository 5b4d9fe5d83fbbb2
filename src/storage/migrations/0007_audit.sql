-- The audit log: records, the tiles of their Merkle tree, and the signed checkpoints.

-- One row per record. Every column from id to facts is a field: its value is committed to in the leaf, and verification
-- compares the two. The rest is what the log needs to keep: see docs/audit.md.
CREATE TABLE audit_records (
    entry SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    time BIGINT NOT NULL,
    organisation TEXT NOT NULL,
    client_id TEXT,
    request_id TEXT,
    trace_id TEXT,
    span_id TEXT,
    parent_span_id TEXT,
    action TEXT,
    resource TEXT,
    sender TEXT,
    recipient TEXT,
    purpose TEXT,
    phase TEXT,
    legal_basis TEXT,
    processing_activity TEXT,
    covenant_version TEXT,
    policy_digest TEXT,
    outcome TEXT,
    sections TEXT,
    consent_ids TEXT,
    subject TEXT,
    referral TEXT,
    update_id TEXT,
    decision TEXT,
    consent TEXT,
    status TEXT,
    status_reason TEXT,
    facts TEXT,
    -- One salt of 16 and one commitment of 32 octets per field, one after the other.
    salts BYTES NOT NULL,
    commitments BYTES NOT NULL,
    -- Keyed digest of the leaf; the key is not in the database.
    seal BYTES NOT NULL,
    -- 1 when the sequencer found a seal that does not fit: never taken into the log.
    refused BIGINT NOT NULL DEFAULT 0,
    -- The place in the log; absent until the record is sequenced.
    leaf_index BIGINT UNIQUE
);
CREATE INDEX audit_records_unsequenced ON audit_records (entry) WHERE leaf_index IS NULL;
CREATE INDEX audit_records_by_organisation ON audit_records (organisation, id);
CREATE INDEX audit_records_by_referral ON audit_records (referral, id);

-- The tree in tiles of height 8 (C2SP tlog-tiles); a partial tile is replaced by the wider one.
CREATE TABLE audit_tiles (
    level BIGINT NOT NULL,
    tile BIGINT NOT NULL,
    width BIGINT NOT NULL,
    hashes BYTES NOT NULL,
    PRIMARY KEY (level, tile)
);

-- Signed heads of the tree (C2SP tlog-checkpoint), each linked to the one before by its digest.
CREATE TABLE audit_checkpoints (
    tree_size BIGINT PRIMARY KEY,
    root BYTES NOT NULL,
    created_at BIGINT NOT NULL,
    previous BYTES NOT NULL,
    note TEXT NOT NULL,
    link BYTES NOT NULL
);
