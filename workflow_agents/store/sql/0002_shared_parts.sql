-- Payloads share what they have in common: one is bytes, or a list of others.
-- depth 0: data are bytes, hash is theirs. depth n: data are the packed ids of payloads of
-- depth n - 1, hash is the depth and the hash of theirs.
ALTER TABLE payloads ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;

-- How many times lists name a payload; one that no list names has no row.
CREATE TABLE payload_uses (payload INTEGER PRIMARY KEY, uses INTEGER NOT NULL);

-- Payloads that perhaps nothing refers to any more, to be looked at when the store is cleaned.
CREATE TABLE loose_payloads (payload INTEGER PRIMARY KEY);

-- Until now the bodies of settled requests were left behind.
INSERT INTO loose_payloads SELECT id FROM payloads;

-- The body of the request that a call step made or makes.
ALTER TABLE feed ADD COLUMN body INTEGER;
CREATE INDEX feed_body ON feed (body) WHERE body IS NOT NULL;

-- The result of a run, where it is long.
ALTER TABLE runs ADD COLUMN result_payload INTEGER;
CREATE INDEX runs_result_payload ON runs (result_payload) WHERE result_payload IS NOT NULL;
