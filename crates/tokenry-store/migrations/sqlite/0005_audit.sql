-- What was done, by whom, and from where. Each row's hash is keyed and covers the row before it; nothing is ever changed
-- here, and what is too old goes from the front.
CREATE TABLE audit_log (
    seq           INTEGER NOT NULL PRIMARY KEY,
    at            INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    times         INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    actor_id      INTEGER,
    action        TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    reason        TEXT,
    owner_id      INTEGER,
    connection_id INTEGER,
    provider      TEXT,
    address       TEXT,
    agent         TEXT,
    hash          BLOB    NOT NULL
);
CREATE INDEX audit_log_by_owner ON audit_log (owner_id, seq);

-- One row: where the log ends, and where what is kept of it begins. Whoever writes holds it.
CREATE TABLE audit_head (
    id          INTEGER NOT NULL PRIMARY KEY,
    seq         INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    kept_seq    INTEGER NOT NULL,
    kept_before BLOB    NOT NULL,
    mac         BLOB    NOT NULL
);
