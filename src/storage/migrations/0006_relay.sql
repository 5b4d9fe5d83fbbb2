-- Event feeds and webhooks.

-- The transactional outbox, which is the feed too. A row is written in the transaction of the change it tells of; `position` is given
-- afterwards, in the order of commits, per feed, from 1 without gaps.
CREATE TABLE events (
    entry SERIAL_KEY,
    id TEXT NOT NULL UNIQUE,
    organisation TEXT NOT NULL,
    position BIGINT,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    path TEXT NOT NULL,
    time BIGINT NOT NULL,
    trace_parent TEXT,
    UNIQUE (organisation, position)
);
CREATE INDEX events_without_position ON events (entry) WHERE position IS NULL;
CREATE INDEX events_by_time ON events (time);

-- The last position of each feed; survives the removal of old events.
CREATE TABLE feeds (
    organisation TEXT PRIMARY KEY,
    head BIGINT NOT NULL
);

-- Secrets are sealed. `confirmed`: the present sink has answered its handshake. `window_*`: what was sent in the running minute.
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    sink TEXT NOT NULL,
    use_client_certificate BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'paused', 'ended')),
    confirmed BIGINT NOT NULL,
    secret BYTES NOT NULL,
    former_secret BYTES,
    former_secret_until BIGINT,
    allowed_rate BIGINT,
    window_started_at BIGINT NOT NULL,
    window_sent BIGINT NOT NULL,
    handshakes BIGINT NOT NULL,
    handshake_first_at BIGINT,
    handshake_next_at BIGINT NOT NULL,
    handshake_claimed_until BIGINT,
    handshake_claim TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX subscriptions_by_organisation ON subscriptions (organisation, created_at, id);
CREATE INDEX subscriptions_to_confirm ON subscriptions (handshake_next_at) WHERE status = 'pending';

CREATE TABLE subscription_types (
    subscription TEXT NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    PRIMARY KEY (subscription, type)
);

-- One row for each event that a subscription is owed. `claim` and `claimed_until` are the lease of the gateway that is sending it.
CREATE TABLE deliveries (
    subscription TEXT NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    event TEXT NOT NULL REFERENCES events (id),
    subject TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    attempts BIGINT NOT NULL,
    first_attempt_at BIGINT,
    next_attempt_at BIGINT NOT NULL,
    claimed_until BIGINT,
    claim TEXT,
    last_attempt_at BIGINT,
    last_status BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (subscription, position)
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE status = 'pending';
CREATE INDEX deliveries_in_order ON deliveries (subscription, subject, position) WHERE status = 'pending';
CREATE INDEX deliveries_by_status ON deliveries (subscription, status, position);
CREATE INDEX deliveries_by_event ON deliveries (event);
