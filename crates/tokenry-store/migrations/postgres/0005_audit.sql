-- What was done, by whom, and from where. Each row's hash is keyed and covers the row before it; nothing is ever changed
-- here, and what is too old goes from the front.
CREATE TABLE audit_log (
    seq           BIGINT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    times         BIGINT NOT NULL,
    actor         TEXT    NOT NULL,
    actor_id      BIGINT,
    action        TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    reason        TEXT,
    owner_id      BIGINT,
    connection_id BIGINT,
    provider      TEXT,
    address       TEXT,
    agent         TEXT,
    hash          BYTEA  NOT NULL
);
CREATE INDEX audit_log_by_owner ON audit_log (owner_id, seq);

-- One row: where the log ends, and where what is kept of it begins. Whoever writes holds it.
CREATE TABLE audit_head (
    id          BIGINT NOT NULL PRIMARY KEY,
    seq         BIGINT NOT NULL,
    hash        BYTEA  NOT NULL,
    kept_seq    BIGINT NOT NULL,
    kept_before BYTEA  NOT NULL,
    mac         BYTEA  NOT NULL
);
