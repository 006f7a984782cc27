-- Who may change what is everybody's: services, keys, other users' roles.
ALTER TABLE users ADD COLUMN is_operator BIGINT NOT NULL DEFAULT 0;
CREATE INDEX users_operating ON users (id) WHERE is_operator = 1;

-- Browsers that are signed in. The cookie itself is nowhere; the epoch is the user's when it was opened.
CREATE TABLE browser_sessions (
    id_hash   BYTEA  NOT NULL PRIMARY KEY,
    user_id   BIGINT NOT NULL REFERENCES users (id),
    epoch     BIGINT NOT NULL,
    device    TEXT   NOT NULL,
    opened_at BIGINT NOT NULL,
    seen_at   BIGINT NOT NULL
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id, opened_at);
CREATE INDEX browser_sessions_by_seen ON browser_sessions (seen_at);
