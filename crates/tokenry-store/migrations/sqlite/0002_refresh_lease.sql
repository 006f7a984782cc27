-- Who refreshes a connection at the moment, over all processes; and what it is about to spend, so that whoever comes
-- after a crash knows that the refresh token may be spent already.
ALTER TABLE connections ADD COLUMN lease_owner TEXT;
ALTER TABLE connections ADD COLUMN lease_until INTEGER;
ALTER TABLE connections ADD COLUMN intent_hash BLOB;
ALTER TABLE connections ADD COLUMN intent_at   INTEGER;
