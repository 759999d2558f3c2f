-- Messages of conversations that outlive their runs. Ids are never used again, so that a run
-- which has read up to one of them reads the same for ever. A long message shares its parts with
-- the replies and requests that say the same.
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation TEXT NOT NULL,
  at INTEGER NOT NULL,
  data BLOB,
  payload INTEGER
);
CREATE INDEX messages_conversation ON messages (conversation, id);
CREATE INDEX messages_payload ON messages (payload) WHERE payload IS NOT NULL;
