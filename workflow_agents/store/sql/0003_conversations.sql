-- Messages of conversations that outlive their runs. Ids are never used again, so that a run
-- which has read up to one of them reads the same for ever.
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation TEXT NOT NULL,
  at INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX messages_conversation ON messages (conversation, id);
