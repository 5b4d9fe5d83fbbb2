-- Capacity notices: who takes nobody in for a purpose, or lets people wait; and those that were replaced or ended.

-- One for each organisation and purpose. After its last day it holds no more, and stays until the next one.
CREATE TABLE capacity_notices (
    organisation TEXT NOT NULL REFERENCES organisations (oin),
    purpose TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    -- 'no-intake', 'waiting-list'
    kind TEXT NOT NULL,
    expected_wait_weeks BIGINT,
    -- The last day, in Amsterdam, as YYYY-MM-DD.
    until TEXT NOT NULL,
    announced_at BIGINT NOT NULL,
    PRIMARY KEY (organisation, purpose)
);

-- What another notice followed upon. Nothing is ever changed in it.
CREATE TABLE capacity_history (
    id TEXT NOT NULL PRIMARY KEY,
    organisation TEXT NOT NULL,
    purpose TEXT NOT NULL,
    kind TEXT NOT NULL,
    expected_wait_weeks BIGINT,
    until TEXT NOT NULL,
    announced_at BIGINT NOT NULL,
    -- 'replaced', 'ended'; nothing where it had expired.
    ending TEXT,
    ended_at BIGINT
);
