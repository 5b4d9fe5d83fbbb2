-- Who takes part, how each proves who it is, and the gateway's own signing keys.

CREATE TABLE organisations (
    oin TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- JSON: email, telephone, url of a function, not a person.
    contact TEXT,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'retired')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    -- The JWK set: the organisation's public keys for signatures and for encryption to it.
    keys TEXT NOT NULL,
    keys_version BIGINT NOT NULL
);

-- What an organisation connects with: its main client (the OIN is the id) and named ones with scopes of their own.
CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES organisations (oin),
    -- Separated by spaces, as in RFC 6749 section 3.3.
    scopes TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'inactive')),
    created_at BIGINT NOT NULL
);
CREATE INDEX clients_by_organisation ON clients (organisation);

-- Certificates that the gateway's authority issued, and external ones that were registered for a named client.
CREATE TABLE certificates (
    thumbprint TEXT PRIMARY KEY,
    serial TEXT NOT NULL,
    -- 'gateway', or the name of an external anchor.
    issued_by TEXT NOT NULL,
    client_id TEXT NOT NULL REFERENCES clients (client_id),
    certificate BYTES NOT NULL,
    server_names TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revocation_reason TEXT,
    UNIQUE (issued_by, serial)
);
CREATE INDEX certificates_by_client ON certificates (client_id, issued_at);

-- The revocation lists that were published; the number is that of RFC 5280 section 5.2.3.
CREATE TABLE revocation_lists (
    number BIGINT PRIMARY KEY,
    list BYTES NOT NULL,
    -- How many certificates had been revoked, ever: more now means that a new list is due.
    revocations BIGINT NOT NULL,
    next_update BIGINT NOT NULL
);

-- Access tokens that were revoked before their end; kept until that end.
CREATE TABLE revoked_tokens (
    jti TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

-- Client assertions that were used; the key is what refuses a replay (RFC 7523 section 3, item 7).
CREATE TABLE used_assertions (
    client_id TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, jti)
);
CREATE INDEX used_assertions_by_expiry ON used_assertions (expires_at);

-- The gateway's signing keys; the private half is sealed to its row.
CREATE TABLE gateway_keys (
    kid TEXT PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('token', 'receipt', 'checkpoint')),
    jwk TEXT NOT NULL,
    private_key BYTES NOT NULL,
    created_at BIGINT NOT NULL,
    -- Signs from this moment; it is published from created_at on.
    active_from BIGINT NOT NULL,
    -- Signs until this moment.
    retired_at BIGINT
);
CREATE INDEX gateway_keys_by_purpose ON gateway_keys (purpose, active_from);
