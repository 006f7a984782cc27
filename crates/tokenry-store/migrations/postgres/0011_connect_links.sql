-- Links at which a person connects an account, once. Found by the SHA-256 of their token, which is nowhere here; what is
-- in a row is no secret. Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE connect_links (
    token_hash    BYTEA   NOT NULL PRIMARY KEY,
    user_id       BIGINT  NOT NULL REFERENCES users (id),
    session_epoch BIGINT  NOT NULL,
    services      TEXT    NOT NULL,
    return_to     TEXT,
    origin        TEXT,
    stage         TEXT    NOT NULL,
    browser_hash  BYTEA,
    nonce         TEXT,
    service       TEXT,
    connection_id BIGINT,
    expires_at    BIGINT  NOT NULL,
    ends_at       BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL
);
CREATE INDEX connect_links_by_user ON connect_links (user_id, stage, created_at);
CREATE INDEX connect_links_by_end ON connect_links (ends_at);

-- The link that a flow was begun with.
ALTER TABLE flows ADD COLUMN link_hash BYTEA;
