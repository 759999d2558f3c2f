"""What is asked of stored messages to see whether something is wrong: see `Store.check`."""

from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.sqlite_remote_checks import REMOTE_QUESTIONS

_ENDS = f"({EntryKind.MESSAGE_DELIVERED}, {EntryKind.MESSAGE_FAILED}, {EntryKind.MESSAGE_CANCELED})"
_HAS_ENDED = f"EXISTS (SELECT 1 FROM feed f WHERE f.message = m.id AND f.kind IN {_ENDS})"

MESSAGE_QUESTIONS = {
    "a delivery without its message": (
        "SELECT id FROM deliveries WHERE message IS NOT NULL"
        " AND message NOT IN (SELECT id FROM messages)"
    ),
    "a dead letter without its message": (
        "SELECT id FROM dead_letters WHERE message IS NOT NULL"
        " AND message NOT IN (SELECT id FROM messages)"
    ),
    "a delivery that is due without a time": (
        "SELECT id FROM deliveries WHERE leased = 0 AND due_at IS NULL"
    ),
    "a delivery that waits for a key that is not paused": (
        "SELECT d.id FROM deliveries d LEFT JOIN flow_keys k ON k.flow_key = d.flow_key"
        " WHERE d.leased = 2 AND d.due_at IS NULL AND NOT ifnull(k.paused, 0)"
    ),
    "a queue with room, and messages that wait for a turn": (
        "SELECT name FROM queues q WHERE NOT paused AND EXISTS (SELECT 1 FROM deliveries"
        " WHERE queue = q.name AND leased = 4) AND (SELECT count(DISTINCT turn)"
        " FROM deliveries WHERE queue = q.name AND leased != 4) < parallelism"
    ),
    "a message of which nothing is owed and no end is told": (
        "SELECT m.id FROM messages m WHERE m.run = 0"
        f" AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id) AND NOT {_HAS_ENDED}"
    ),
    "a message that has ended and is still owed": (
        "SELECT m.id FROM messages m JOIN deliveries d ON d.message = m.id"
        f" WHERE m.run = 0 AND {_HAS_ENDED}"
    ),
    **REMOTE_QUESTIONS,
}
"""What is wrong, and the query whose rows say where."""
