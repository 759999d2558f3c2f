"""Eight agents, three levels, forty tool calls, twenty real SIGKILLs: the right answer.

A process works on the task; it is killed at random points and started again. The model is a
scripted server in this process, which outlives them all and keeps a ledger. After each kill the
store is read: a request whose reply is recorded then must never be made again, and a tool whose
result is recorded must never run again. Only what was under way at a kill may repeat.
"""

import json
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.forks import Child, nursery
from tests.journeys.agents_sigkill_worker import LEADS, SURVEYORS, total
from workflow_agents.testing.model_server import (
    CallTools,
    RecordedRequest,
    Say,
    ScriptedModel,
    Slow,
)

WORKER = Path(__file__).with_name("agents_sigkill_worker.py")
MODULES = ("workflow_agents.agents.workflow", "workflow_agents.serve.serve", "openai")
KILLS = 20
THINKING_S = 0.03


def results(request: RecordedRequest) -> list[str]:
    return [m["content"] for m in request.messages if m["role"] == "tool"]


def reply(request: RecordedRequest) -> Any:
    """What each agent does next follows from what it has been told."""
    name, told = request.agent, results(request)
    if name in SURVEYORS:
        if len(told) < SURVEYORS[name]:
            turn: Any = CallTools((("measure", {"surveyor": name, "place": len(told)}),))
        else:
            turn = Say(json.dumps({"result": sum(map(int, told))}))
    elif name in LEADS:
        if len(told) < len(LEADS[name]):
            turn = CallTools(((LEADS[name][len(told)], {"prompt": "Measure all of it."}),))
        else:
            turn = Say(str(sum(map(int, told))))
    elif not told:
        turn = CallTools(tuple((lead, {"prompt": "How much is it?"}) for lead in LEADS))
    else:
        turn = Say(json.dumps({"result": sum(map(int, told))}))
    return Slow(THINKING_S, turn)


def turn_of(request: RecordedRequest) -> tuple[str, int]:
    """Which request this is: the agent, and how often it has spoken before."""
    return request.agent, sum(m["role"] == "assistant" for m in request.messages)


def recorded(store: Path) -> tuple[Counter[str], set[int]]:
    """How many replies are recorded of each agent, and the results of tools."""
    if not store.exists():
        return Counter(), set()
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        steps = db.execute("SELECT name, data FROM feed WHERE mark = 0").fetchall()
    except sqlite3.OperationalError:  # it was killed before it had made the tables
        return Counter(), set()
    finally:
        db.close()
    replies = Counter(
        name.removeprefix("Call Agent ") for name, _ in steps if name.startswith("Call Agent ")
    )
    measured = {json.loads(data)["ok"] for name, data in steps if name == "Run tool measure"}
    return replies, measured


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_team_of_agents_survives_twenty_kills(tmp_path: Path) -> None:
    store, notes = tmp_path / "team.db", tmp_path / "notes"
    draw = random.Random(8)
    known: list[tuple[Counter[str], set[int]]] = []
    seen: list[int] = []
    with ScriptedModel() as model:
        model.when(lambda _: True, reply, repeat=True)

        def start(life: int) -> Child:
            arguments = [WORKER, store, notes, life, model.base_url]
            return nursery(*MODULES).start(arguments, log=tmp_path / f"out{life}")

        for life in range(KILLS):
            worker = start(life)
            worker.says("ready")
            enough = len(model.requests) + draw.randint(1, 3)
            deadline = time.monotonic() + 30
            while len(model.requests) < enough and not worker.is_over:
                assert time.monotonic() < deadline, "the agents do not go on"
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.05))
            assert worker.kill() == -9, worker.err.read_text()
            known.append(recorded(store))
            seen.append(len(model.requests))
        last = start(KILLS)
        last.wait(120)

        assert last.out.read_text().split() == ["ready", str(total())], last.err.read_text()
        requests = [turn_of(request) for request in model.requests]
        keys = [request.headers["idempotency-key"] for request in model.requests]
        assert model.refused == []

    again = [
        turn
        for (replies, _), begun in zip(known, seen, strict=True)
        for turn in requests[begun:]
        if turn[1] < replies[turn[0]]
    ]
    assert again == [], "a request was made again after its reply was recorded"
    replies, measured = recorded(store)
    assert Counter(agent for agent, _ in set(requests)) == replies
    assert len(dict.fromkeys(zip(requests, keys, strict=True))) == len(set(requests))
    assert len(replies) == 1 + len(LEADS) + len(SURVEYORS) == 8
    assert len(measured) + len(LEADS) + len(SURVEYORS) == 40

    executed = [tuple(map(int, line.split())) for line in notes.read_text().splitlines()]
    repeated = [(life, m) for life, m in executed if life and m in known[life - 1][1]]
    assert repeated == [], "a tool ran again after its result was recorded"
    done = [sum(replies.values()) for replies, _ in known]
    assert done[-1] < sum(replies.values()), "the kills came after the work"
    assert done[-1] > KILLS / 2, "the kills came before any work was done"
