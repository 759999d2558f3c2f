-- One row for each run. What has to be done next is in (phase, due_at), indexed where due.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL UNIQUE,
  workflow TEXT NOT NULL,
  phase INTEGER NOT NULL,
  due_at INTEGER,
  -- the fencing token: every lease raises it; what holds an older one is refused
  token INTEGER NOT NULL,
  -- wake-ups so far: a run parks only if it has seen them all
  wakes INTEGER NOT NULL,
  -- failed attempts since the run last made progress
  attempt INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  input BLOB,
  payload INTEGER,
  options TEXT,
  flow_key TEXT,
  -- recoveries after a crash without progress, and the feed entry that was the last progress
  recoveries INTEGER,
  progress INTEGER,
  parent INTEGER,
  parent_step,
  ended_at INTEGER,
  result BLOB
);
CREATE INDEX runs_due ON runs (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX runs_flow ON runs (flow_key, phase) WHERE flow_key IS NOT NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL;

-- Everything that happened, append-only, and so the history of every run.
-- mark is 0 for the outcome of a step, of which there is one at most; else NULL.
CREATE TABLE feed (
  seq INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  type INTEGER,
  step,
  name TEXT,
  data BLOB,
  payload INTEGER,
  mark INTEGER
);
CREATE UNIQUE INDEX feed_step ON feed (run, step, mark);
CREATE INDEX feed_payload ON feed (payload) WHERE payload IS NOT NULL;
CREATE INDEX runs_payload ON runs (payload) WHERE payload IS NOT NULL;

-- Large data, stored once whatever refers to it.
CREATE TABLE payloads (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  data BLOB NOT NULL
);

-- What a step of a run waits for. Whoever removes the row decides the outcome.
CREATE TABLE waiters (
  run INTEGER NOT NULL,
  step NOT NULL,
  kind INTEGER NOT NULL,
  type INTEGER NOT NULL,
  name TEXT NOT NULL,
  due_at INTEGER,
  event TEXT,
  attempts INTEGER,
  flow_key TEXT,
  PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE INDEX waiters_due ON waiters (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX waiters_event ON waiters (event) WHERE event IS NOT NULL;
CREATE INDEX waiters_flow ON waiters (flow_key, kind) WHERE flow_key IS NOT NULL;

-- Requests owed to somebody: calls, failure functions and failure addresses.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,
  step,
  kind INTEGER NOT NULL,
  -- 0 to be made when it is due, 1 being made, 2 held back by its flow control key
  leased INTEGER NOT NULL,
  due_at INTEGER,
  attempt INTEGER NOT NULL,
  flow_key TEXT,
  data BLOB NOT NULL,
  payload INTEGER
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX deliveries_step ON deliveries (run, step);
CREATE INDEX deliveries_payload ON deliveries (payload) WHERE payload IS NOT NULL;
CREATE INDEX deliveries_flow ON deliveries (flow_key, leased) WHERE flow_key IS NOT NULL;

-- Notifications sent to a run before it waited.
CREATE TABLE notifications (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,
  event TEXT NOT NULL,
  data BLOB
);
CREATE INDEX notifications_event ON notifications (run, event);

CREATE TABLE dead_letters (
  id TEXT PRIMARY KEY,
  run INTEGER NOT NULL,
  at INTEGER NOT NULL,
  failure TEXT NOT NULL,
  callback TEXT
);
CREATE INDEX dead_letters_run ON dead_letters (run);

CREATE TABLE labels (
  label TEXT NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (label, run)
) WITHOUT ROWID;

-- When work of a flow control key began, for its rate.
CREATE TABLE flow_starts (
  flow_key TEXT NOT NULL,
  at INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (flow_key, at, n)
) WITHOUT ROWID;

-- The limits that were last set for a flow control key, as the wire writes them.
CREATE TABLE flow_keys (flow_key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
