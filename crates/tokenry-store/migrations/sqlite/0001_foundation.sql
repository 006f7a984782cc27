-- Times are microseconds since 1970-01-01T00:00:00Z. Blobs named sealed or wrapped were sealed by the vault.

CREATE TABLE data_keys (
    id          INTEGER PRIMARY KEY,
    wrapped     BLOB    NOT NULL,
    is_current  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
);

CREATE TABLE signing_keys (
    id          INTEGER PRIMARY KEY,
    sealed      BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
);

CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    username        TEXT    NOT NULL,
    username_folded TEXT    NOT NULL UNIQUE,
    email           TEXT    NOT NULL,
    password_hash   TEXT    NOT NULL,
    session_epoch   INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
);

CREATE TABLE connections (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id        INTEGER NOT NULL REFERENCES users (id),
    name           TEXT    NOT NULL,
    token_type     TEXT    NOT NULL,
    provider       TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    state_reason   TEXT,
    account_id     TEXT,
    account_label  TEXT,
    scopes         TEXT    NOT NULL,
    sealed_access  BLOB    NOT NULL,
    sealed_refresh BLOB,
    expires_at     INTEGER,
    due_at         INTEGER,
    generation     INTEGER NOT NULL DEFAULT 1,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER
);

CREATE INDEX connections_by_user ON connections (user_id, id) WHERE deleted_at IS NULL;

-- One live connection per user and account: connecting it again renews that one.
CREATE UNIQUE INDEX connections_by_account ON connections (user_id, provider, account_id)
    WHERE deleted_at IS NULL AND account_id IS NOT NULL;

-- Who else holds a grant for this account: some providers revoke them all together.
CREATE INDEX connections_sharing_account ON connections (provider, account_id)
    WHERE deleted_at IS NULL AND account_id IS NOT NULL;

CREATE TABLE flows (
    state_hash     BLOB    NOT NULL PRIMARY KEY,
    user_id        INTEGER NOT NULL REFERENCES users (id),
    token_type     TEXT    NOT NULL,
    provider       TEXT    NOT NULL,
    redirect_uri   TEXT    NOT NULL,
    token_url      TEXT    NOT NULL,
    scopes         TEXT    NOT NULL,
    sealed_secrets BLOB    NOT NULL,
    browser_hash   BLOB    NOT NULL,
    stage          TEXT    NOT NULL,
    confirm_hash   BLOB UNIQUE,
    sealed_grant   BLOB,
    expires_at     INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
);

CREATE INDEX flows_by_expiry ON flows (expires_at);

-- Grants whose connection is gone and whose provider has yet to be told.
CREATE TABLE revocations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL,
    connection_id   INTEGER NOT NULL,
    provider        TEXT    NOT NULL,
    account_id      TEXT,
    sealed_access   BLOB    NOT NULL,
    sealed_refresh  BLOB,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
);

CREATE INDEX revocations_by_next_attempt ON revocations (next_attempt_at);

-- Failed logins, counted in fixed windows. A bucket is a keyed fingerprint: neither names nor addresses are kept.
CREATE TABLE login_failures (
    bucket            BLOB    NOT NULL PRIMARY KEY,
    failures          INTEGER NOT NULL,
    window_started_at INTEGER NOT NULL
);

CREATE INDEX login_failures_by_window ON login_failures (window_started_at);

-- Addresses a user has logged in from, as keyed fingerprints: an attacker elsewhere cannot lock these out.
CREATE TABLE known_addresses (
    user_id      INTEGER NOT NULL REFERENCES users (id),
    fingerprint  BLOB    NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, fingerprint)
);
