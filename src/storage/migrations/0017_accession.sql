-- Incidental accession: signatures under a version of the covenant for one purpose, or for one case. They stand in tables of their own, so
-- that whoever asks covenant_signatures asks for a signature under the whole.

CREATE TABLE covenant_purpose_signatures (
    version TEXT NOT NULL REFERENCES covenants (version),
    organisation TEXT NOT NULL,
    purpose TEXT NOT NULL,
    jws TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    PRIMARY KEY (version, organisation, purpose)
);

-- An invitation has an id, so that what was signed under one does not count under the next. Those from before have none, and nobody has
-- signed under them yet.
ALTER TABLE case_invitations ADD COLUMN id TEXT NOT NULL DEFAULT '';

-- A signature for one case counts while the invitation that it answers stands.
CREATE TABLE covenant_case_signatures (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (id),
    organisation TEXT NOT NULL,
    invitation TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES covenants (version),
    -- The case as the signer knows it: what was signed names it so.
    alias TEXT NOT NULL,
    jws TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    UNIQUE (case_id, organisation, invitation, version)
);
CREATE INDEX covenant_case_signatures_by_signer ON covenant_case_signatures (version, organisation, id);
