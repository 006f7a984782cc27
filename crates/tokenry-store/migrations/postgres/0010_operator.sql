-- The operator's own clients at providers, where no configuration names one.
CREATE TABLE service_clients (
    provider      TEXT   NOT NULL PRIMARY KEY,
    client_id     TEXT   NOT NULL,
    sealed_secret BYTEA,
    secret_at     BIGINT,
    updated_at    BIGINT NOT NULL,
    updated_by    BIGINT
);
ALTER TABLE service_clients ADD COLUMN secret_key BYTEA GENERATED ALWAYS AS
    (CASE WHEN substring(sealed_secret FROM 1 FOR 1) = '\x01'::bytea THEN substring(sealed_secret FROM 1 FOR 5) END) STORED;
ALTER TABLE service_clients ADD CONSTRAINT service_clients_secret_key FOREIGN KEY (secret_key) REFERENCES data_keys (header);
CREATE INDEX service_clients_by_secret_key ON service_clients (secret_key, provider);

-- Links that make the first operator, by the hash of what is in them. None is of use once there is one.
CREATE TABLE setup_links (
    link_hash  BYTEA  NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- What is not in order: few, so that a look at all of them stays a look.
CREATE INDEX connections_in_trouble ON connections (provider, state) WHERE deleted_at IS NULL AND state <> 'ok';
