"""What is asked of stored remote runs to see whether something is wrong: see `Store.check`.

What a run has taken over from another one is older than itself, and was delivered there.
"""

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.store.changes import WaiterKind

_REMOTE, _VISIT = int(Phase.REMOTE), int(MessageKind.VISIT)
_OWN = f"messages m JOIN runs r ON r.id = m.run AND r.phase = {_REMOTE} AND m.at > r.created_at"
_OWED = "EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id)"
_DELIVERED = (
    "EXISTS (SELECT 1 FROM feed f WHERE f.message = m.id"
    f" AND f.kind = {EntryKind.MESSAGE_DELIVERED})"
)

REMOTE_QUESTIONS = {
    "a remote run that nothing began": (
        f"SELECT run_id FROM runs r WHERE phase = {_REMOTE}"
        " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.run = r.id AND m.run > 0 AND m.step = 0)"
    ),
    "a delivery of a remote run that has ended": (
        "SELECT d.id FROM deliveries d JOIN messages m ON m.id = d.message"
        f" JOIN runs r ON r.id = m.run WHERE r.phase >= {int(Phase.SUCCESS)} AND d.leased != 1"
        f" AND m.kind != {int(MessageKind.FAILURE_VISIT)}"
    ),
    "a message of a remote run that is neither owed nor delivered": (
        f"SELECT m.id FROM {_OWN} WHERE NOT {_OWED} AND NOT {_DELIVERED}"
    ),
    "an answer to a call that nobody is told": (
        f"SELECT m.id FROM {_OWN} WHERE m.kind = {int(MessageKind.CALL)} AND {_DELIVERED}"
        " AND NOT EXISTS (SELECT 1 FROM messages a WHERE a.run = m.run AND a.run > 0"
        f" AND a.step = m.step AND a.kind = {int(MessageKind.CALL_ANSWER)})"
    ),
    "an outcome of a remote run that is not in its list": (
        f"SELECT f.seq FROM feed f JOIN runs r ON r.id = f.run AND r.phase = {_REMOTE}"
        " WHERE f.mark = 0 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.run = f.run"
        f" AND m.run > 0 AND m.step = f.step AND m.kind = {_VISIT})"
    ),
    "a waiter of the wrong kind for its run": (
        "SELECT w.run || ' ' || w.step FROM waiters w JOIN runs r ON r.id = w.run"
        f" WHERE (r.phase = {_REMOTE}) != (w.kind = {WaiterKind.REMOTE})"
    ),
    "a failure of a remote run that nobody is told": (
        "SELECT l.id FROM dead_letters l WHERE l.callback = 'CALLBACK_INPROGRESS'"
        " AND EXISTS (SELECT 1 FROM messages m WHERE m.run = l.run AND m.run > 0)"
        " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.run = l.run)"
    ),
}
"""What is wrong, and the query whose rows say where."""
