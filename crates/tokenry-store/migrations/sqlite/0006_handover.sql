-- The export with which a grant went to another installation, and where an imported connection came from.
ALTER TABLE connections ADD COLUMN handover TEXT;
ALTER TABLE connections ADD COLUMN origin   TEXT;
-- Why the refresh token may have been spent where nobody here saw it. Says nothing of a later generation.
ALTER TABLE connections ADD COLUMN doubt              TEXT;
ALTER TABLE connections ADD COLUMN doubted_generation INTEGER;

CREATE UNIQUE INDEX connections_by_origin ON connections (origin) WHERE deleted_at IS NULL AND origin IS NOT NULL;
CREATE INDEX connections_by_handover ON connections (handover) WHERE handover IS NOT NULL;

-- What is true of the installation as a whole: what it is called towards others, where it was moved to.
CREATE TABLE installation (
    name       TEXT    NOT NULL PRIMARY KEY,
    value      TEXT    NOT NULL,
    written_at INTEGER NOT NULL
);
