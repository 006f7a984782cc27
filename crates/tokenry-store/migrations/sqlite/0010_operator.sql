-- The operator's own clients at providers, where no configuration names one.
CREATE TABLE service_clients (
    provider      TEXT    NOT NULL PRIMARY KEY,
    client_id     TEXT    NOT NULL,
    sealed_secret BLOB,
    secret_at     INTEGER,
    updated_at    INTEGER NOT NULL,
    updated_by    INTEGER
);
ALTER TABLE service_clients ADD COLUMN secret_key BLOB GENERATED ALWAYS AS
    (CASE WHEN substr(sealed_secret, 1, 1) = x'01' THEN substr(sealed_secret, 1, 5) END) VIRTUAL REFERENCES data_keys (header);
CREATE INDEX service_clients_by_secret_key ON service_clients (secret_key, provider);

-- Links that make the first operator, by the hash of what is in them. None is of use once there is one.
CREATE TABLE setup_links (
    link_hash  BLOB    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

-- What is not in order: few, so that a look at all of them stays a look.
CREATE INDEX connections_in_trouble ON connections (provider, state) WHERE deleted_at IS NULL AND state <> 'ok';
