-- Links at which a person connects an account, once. Found by the SHA-256 of their token, which is nowhere here; what is
-- in a row is no secret. Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE connect_links (
    token_hash    BLOB    NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL REFERENCES users (id),
    session_epoch INTEGER NOT NULL,
    services      TEXT    NOT NULL,
    return_to     TEXT,
    origin        TEXT,
    stage         TEXT    NOT NULL,
    browser_hash  BLOB,
    nonce         TEXT,
    service       TEXT,
    connection_id INTEGER,
    expires_at    INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
);
CREATE INDEX connect_links_by_user ON connect_links (user_id, stage, created_at);
CREATE INDEX connect_links_by_end ON connect_links (ends_at);

-- The link that a flow was begun with.
ALTER TABLE flows ADD COLUMN link_hash BLOB;
