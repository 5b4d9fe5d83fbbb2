-- What every feature leans on: revision counters, idempotency, wrapped data keys.

-- Optimistic concurrency: whoever changes what a decision depends on raises the revision of its key.
CREATE TABLE revisions (
    key TEXT PRIMARY KEY,
    revision BIGINT NOT NULL
);

-- Answers to creating requests, kept for repeats (scope: organisation and route).
CREATE TABLE idempotency (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    body_digest BYTES NOT NULL,
    status BIGINT NOT NULL,
    answer BYTES NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- Marks of this gateway that must not change during its life (for example the check value of its pseudonym key).
CREATE TABLE gateway_marks (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
