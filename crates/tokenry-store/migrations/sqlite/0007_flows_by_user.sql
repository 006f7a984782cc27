-- A user's flows, the newest first: how many there may be is limited.
CREATE INDEX flows_by_user ON flows (user_id, stage, created_at);
