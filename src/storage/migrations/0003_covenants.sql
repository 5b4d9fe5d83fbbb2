-- The versions of the covenant as they were published, and who signed them.

CREATE TABLE covenants (
    version TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    effective_from BIGINT NOT NULL UNIQUE,
    published_at BIGINT NOT NULL,
    -- The published bytes: a JSON object from path to text.
    files TEXT NOT NULL
);

CREATE TABLE covenant_signatures (
    version TEXT NOT NULL REFERENCES covenants (version),
    organisation TEXT NOT NULL,
    -- The detached JWS over the digest, and the certificate that it verified with.
    jws TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    signed_at BIGINT NOT NULL,
    PRIMARY KEY (version, organisation)
);
