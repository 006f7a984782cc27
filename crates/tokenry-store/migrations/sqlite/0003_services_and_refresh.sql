-- What was asked for, and what differs from connection to connection at one service (a JSON object of texts).
ALTER TABLE connections ADD COLUMN requested_scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE connections ADD COLUMN settings         TEXT NOT NULL DEFAULT '{}';

-- One number may be two accounts at two places of one service (its tenants).
DROP INDEX connections_by_account;
CREATE UNIQUE INDEX connections_by_account ON connections (user_id, provider, account_id, settings)
    WHERE deleted_at IS NULL AND account_id IS NOT NULL;

-- What happened, and what comes: when the background renews it (renew_at) or keeps an idle refresh token alive (keep_at),
-- and when the grant ends (ends_at, idle_ends_at).
ALTER TABLE connections ADD COLUMN connected_at      INTEGER;
ALTER TABLE connections ADD COLUMN last_refreshed_at INTEGER;
ALTER TABLE connections ADD COLUMN last_used_at      INTEGER;
ALTER TABLE connections ADD COLUMN renew_at          INTEGER;
ALTER TABLE connections ADD COLUMN keep_at           INTEGER;
ALTER TABLE connections ADD COLUMN ends_at           INTEGER;
ALTER TABLE connections ADD COLUMN idle_ends_at      INTEGER;

-- Refreshes in a row that brought nothing, before when nobody tries again, and when the provider last refused the grant.
ALTER TABLE connections ADD COLUMN failures   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN retry_at   INTEGER;
ALTER TABLE connections ADD COLUMN refused_at INTEGER;

UPDATE connections SET requested_scopes = scopes, renew_at = due_at, connected_at = created_at
    WHERE kind = 'oauth2' AND deleted_at IS NULL;

CREATE INDEX connections_to_renew ON connections (renew_at, provider)
    WHERE deleted_at IS NULL AND renew_at IS NOT NULL;
CREATE INDEX connections_to_keep ON connections (keep_at, provider)
    WHERE deleted_at IS NULL AND keep_at IS NOT NULL;
CREATE INDEX connections_refused ON connections (provider, refused_at)
    WHERE deleted_at IS NULL AND refused_at IS NOT NULL;
CREATE INDEX connections_ending ON connections (ends_at, provider)
    WHERE deleted_at IS NULL AND ends_at IS NOT NULL;

-- How providers are doing, over all processes.
CREATE TABLE provider_health (
    provider          TEXT    NOT NULL PRIMARY KEY,
    paused_until      INTEGER,
    circuit_reason    TEXT,
    circuit_opened_at INTEGER,
    circuit_until     INTEGER,
    circuit_tries     INTEGER NOT NULL DEFAULT 0,
    fault             TEXT,
    fault_at          INTEGER
);

-- Whose addresses differ from connection to connection is told at its own.
ALTER TABLE revocations ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- Flows that go another way than by a link, and what they are to end in.
ALTER TABLE flows ADD COLUMN kind          TEXT NOT NULL DEFAULT 'code';
ALTER TABLE flows ADD COLUMN settings      TEXT NOT NULL DEFAULT '{}';
ALTER TABLE flows ADD COLUMN name          TEXT;
ALTER TABLE flows ADD COLUMN connection_id INTEGER;
-- A device flow: how seldom the provider may be asked, from when on it may be asked again, and how it ended.
ALTER TABLE flows ADD COLUMN interval_s    INTEGER;
ALTER TABLE flows ADD COLUMN next_poll_at  INTEGER;
ALTER TABLE flows ADD COLUMN outcome       TEXT;
