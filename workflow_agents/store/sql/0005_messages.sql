-- Messages of the QStash protocol: each as it was accepted, which never changes. What is still
-- owed is its delivery; what happened to it is in the feed. A remote run's raw steps are the
-- messages of the run, in order.
ALTER TABLE messages RENAME TO conversation_messages;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- 0: it belongs to no run
  run INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  at INTEGER NOT NULL,
  url TEXT NOT NULL,
  -- what lists are filtered by
  url_group TEXT,
  -- the name that the destination has in its URL group
  endpoint TEXT,
  queue TEXT,
  schedule TEXT,
  flow_key TEXT,
  caller_ip TEXT,
  -- of a message of a run: the step that it is about
  step,
  -- the message that this one is a callback of
  source INTEGER,
  -- how it is delivered: JSON of MessageSpec
  spec BLOB NOT NULL,
  body BLOB,
  payload INTEGER
);
CREATE INDEX messages_run ON messages (run, id) WHERE run > 0;
-- What a run says of a step, it says once; step 0 is what it was started with.
CREATE UNIQUE INDEX messages_step ON messages (run, step, kind) WHERE run > 0 AND step IS NOT NULL;
CREATE INDEX messages_plain ON messages (at) WHERE run = 0;
CREATE INDEX messages_wire_payload ON messages (payload) WHERE payload IS NOT NULL;

CREATE TABLE message_labels (
  label TEXT NOT NULL,
  message INTEGER NOT NULL,
  PRIMARY KEY (label, message)
) WITHOUT ROWID;
CREATE INDEX message_labels_message ON message_labels (message);

ALTER TABLE deliveries ADD COLUMN message INTEGER;
-- deliveries.leased is 4 while a message waits for its turn in its queue
ALTER TABLE deliveries ADD COLUMN queue TEXT;
-- the message whose turn in the queue this is; a callback has that of its source
ALTER TABLE deliveries ADD COLUMN turn INTEGER;
ALTER TABLE deliveries ADD COLUMN not_before INTEGER;
CREATE UNIQUE INDEX deliveries_message ON deliveries (message) WHERE message IS NOT NULL;
CREATE INDEX deliveries_queue ON deliveries (queue, turn) WHERE queue IS NOT NULL;
CREATE INDEX deliveries_run ON deliveries (run) WHERE message IS NOT NULL AND run > 0;

ALTER TABLE feed ADD COLUMN message INTEGER;
CREATE INDEX feed_message ON feed (message) WHERE message IS NOT NULL;

-- of a remote run: what its waits and invocations were asked with, JSON
ALTER TABLE waiters ADD COLUMN data BLOB;

-- of a message that failed; its run is 0
ALTER TABLE dead_letters ADD COLUMN message INTEGER;
CREATE INDEX dead_letters_message ON dead_letters (message) WHERE message IS NOT NULL;

-- Ids by which a message is accepted once, until their time is over.
CREATE TABLE deduplications (
  id TEXT PRIMARY KEY,
  message INTEGER NOT NULL,
  -- how many were accepted with it: they have the numbers that follow
  messages INTEGER NOT NULL,
  until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX deduplications_until ON deduplications (until);

CREATE TABLE queues (
  name TEXT PRIMARY KEY,
  parallelism INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE url_groups (
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  endpoint_name TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (name, url)
) WITHOUT ROWID;

CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  cron TEXT NOT NULL,
  destination TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  -- the tick to come; NULL: none
  due_at INTEGER,
  last_at INTEGER,
  -- of its last tick, JSON
  last_messages TEXT,
  -- why its last tick has no message
  error TEXT,
  caller_ip TEXT,
  spec BLOB NOT NULL,
  body BLOB,
  payload INTEGER
);
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX schedules_payload ON schedules (payload) WHERE payload IS NOT NULL;

ALTER TABLE flow_keys ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
-- limits that stay whatever messages say: "parallelism", "rate" or both, with a comma
ALTER TABLE flow_keys ADD COLUMN pinned TEXT NOT NULL DEFAULT '';
