"""What is asked of a store to see whether something is wrong: see `Store.check`."""

from collections.abc import Iterator, Mapping
from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.sqlite_message_checks import MESSAGE_QUESTIONS
from workflow_agents.store.sqlite_payloads import Query, payload_faults

_ENDED = f"({int(Phase.SUCCESS)}, {int(Phase.FAILED)}, {int(Phase.CANCELED)})"

QUESTIONS = {
    "a run that is due without a time": (
        f"SELECT run_id FROM runs WHERE phase = {int(Phase.DUE)} AND due_at IS NULL"
    ),
    "an ended run that is due": (
        f"SELECT run_id FROM runs WHERE phase IN {_ENDED} AND due_at IS NOT NULL"
    ),
    "a waiter of a run that has ended or never was": (
        "SELECT w.run FROM waiters w LEFT JOIN runs r ON r.id = w.run"
        f" WHERE r.id IS NULL OR r.phase IN {_ENDED}"
    ),
    "a parked run that nothing will wake": (
        f"SELECT run_id FROM runs WHERE phase = {int(Phase.PARKED)}"
        " AND id NOT IN (SELECT run FROM waiters)"
    ),
    "a waiter of a step that has an outcome": (
        "SELECT w.run || ' ' || w.step FROM waiters w JOIN feed f"
        " ON f.run = w.run AND f.step = w.step AND f.mark = 0"
    ),
    "a call that nothing makes": (
        f"SELECT run || ' ' || step FROM waiters WHERE kind = {WaiterKind.CALL}"
        " AND NOT EXISTS (SELECT 1 FROM deliveries d"
        " WHERE d.run = waiters.run AND d.step = waiters.step)"
    ),
    **MESSAGE_QUESTIONS,
}
"""What is wrong, and the query whose rows say where."""


def damage(query: Query) -> list[str]:
    """What SQLite itself finds damaged."""
    return [row[0] for row in query("PRAGMA integrity_check", ()) if row[0] != "ok"]


def contradictions(query: Query) -> list[str]:
    """What is stored and cannot be true."""
    told = [f"{what}: {row[0]}" for what, row in answers(query, QUESTIONS)]
    return told + payload_faults(query)


def answers(query: Query, questions: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Each question that has answers, with each of them.

    As a rule there are none, and to hear that takes one query.
    """
    answered = query(
        " UNION ALL ".join(
            f"SELECT {place} WHERE EXISTS ({sql})" for place, sql in enumerate(questions.values())
        ),
        (),
    )
    names = [*questions]
    for (place,) in answered:
        for row in query(questions[names[place]], ()):
            yield names[place], row
