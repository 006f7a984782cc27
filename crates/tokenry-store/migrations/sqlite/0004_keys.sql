-- Data keys change. What a sealed value begins with, its version and the id of its key, refers to the key: the database
-- itself keeps a key for as long as anything was sealed with it, and takes nothing that was sealed with one that is gone.
ALTER TABLE data_keys ADD COLUMN header        BLOB;
ALTER TABLE data_keys ADD COLUMN superseded_at INTEGER;
UPDATE data_keys SET header = unhex(printf('01%08x', id));
CREATE UNIQUE INDEX data_keys_by_header ON data_keys (header);

ALTER TABLE connections ADD COLUMN access_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_access, 1, 1) = x'01' THEN substr(sealed_access, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX connections_by_access_key ON connections (access_key, id);
ALTER TABLE connections ADD COLUMN refresh_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_refresh, 1, 1) = x'01' THEN substr(sealed_refresh, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX connections_by_refresh_key ON connections (refresh_key, id);
ALTER TABLE revocations ADD COLUMN access_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_access, 1, 1) = x'01' THEN substr(sealed_access, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX revocations_by_access_key ON revocations (access_key, id);
ALTER TABLE revocations ADD COLUMN refresh_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_refresh, 1, 1) = x'01' THEN substr(sealed_refresh, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX revocations_by_refresh_key ON revocations (refresh_key, id);
ALTER TABLE flows ADD COLUMN secrets_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_secrets, 1, 1) = x'01' THEN substr(sealed_secrets, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX flows_by_secrets_key ON flows (secrets_key, state_hash);
ALTER TABLE flows ADD COLUMN grant_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_grant, 1, 1) = x'01' THEN substr(sealed_grant, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX flows_by_grant_key ON flows (grant_key, state_hash);
ALTER TABLE signing_keys ADD COLUMN sealed_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed, 1, 1) = x'01' THEN substr(sealed, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX signing_keys_by_sealed_key ON signing_keys (sealed_key, id);

-- Since when another signs, and how long the tokens that it signed live at most (microseconds).
ALTER TABLE signing_keys ADD COLUMN superseded_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN longest_ttl   INTEGER NOT NULL DEFAULT 0;

-- Secrets of the installation as a whole, which outlive every data key.
CREATE TABLE installation_secrets (
    name   TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
);
ALTER TABLE installation_secrets ADD COLUMN sealed_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed, 1, 1) = x'01' THEN substr(sealed, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX installation_secrets_by_sealed_key ON installation_secrets (sealed_key, name);

-- Which data keys processes seal with, and what may lie in their spools, sealed with them.
CREATE TABLE key_holds (
    holder  TEXT    NOT NULL,
    key_id  INTEGER NOT NULL REFERENCES data_keys (id),
    spool   TEXT    NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (holder, key_id)
);
CREATE INDEX key_holds_by_key ON key_holds (key_id);

-- Keys that are gone: the number and the times, and no byte of the key.
CREATE TABLE retired_keys (
    id         INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    retired_at INTEGER NOT NULL
);
