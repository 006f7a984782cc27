-- From when on a connection is to be deleted that its owner may still take back. Until then it is out of service.
ALTER TABLE connections ADD COLUMN delete_at INTEGER;
CREATE INDEX connections_to_delete ON connections (delete_at) WHERE deleted_at IS NULL AND delete_at IS NOT NULL;
