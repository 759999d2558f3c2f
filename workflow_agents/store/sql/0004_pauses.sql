-- Keys of providers' accounts that were refused, until they are free again. See core/pauses.
CREATE TABLE flow_pauses (
  pause_key TEXT PRIMARY KEY,
  until INTEGER NOT NULL,
  in_a_row INTEGER NOT NULL,
  -- "window" is a word of SQL
  allowed INTEGER NOT NULL,
  threshold INTEGER NOT NULL,
  passed INTEGER NOT NULL
) WITHOUT ROWID;

-- deliveries.leased is 3 while a request is held back by its pause key
ALTER TABLE deliveries ADD COLUMN pause_key TEXT;
-- attempts that were refused for the whole account, and the first of them
ALTER TABLE deliveries ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN refused_at INTEGER;
CREATE INDEX deliveries_pause ON deliveries (pause_key, leased) WHERE pause_key IS NOT NULL;
