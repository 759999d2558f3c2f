"""Random branch programs in lock-step, their visits in any order: as plain asyncio would have it.

The server here is a list and a set of messages that are still to be delivered; whichever comes
next is drawn. Every visit runs the real invocation, with the list cut off at its own message.
"""

import asyncio
import json
import random
from collections import Counter
from contextvars import copy_context
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflow_agents.context.branches import install
from workflow_agents.core.journal import Completed, Failed, History
from workflow_agents.core.limits import Limits
from workflow_agents.core.options import RunOptions
from workflow_agents.protocol.wire_steps import Visit, raw_element, read_visit
from workflow_agents.serve.wire_journal import Decided, Nothing, Send, WireJournal, WireRun
from workflow_agents.serve.workflow import Workflow

RUN = WireRun("wfr_1", "/program", 0, b"", "https://app.example.com/program")

# A program is a list of what is awaited in turn: a step, or programs that are gathered.
programs = st.recursive(
    st.lists(st.just("step"), max_size=3),
    lambda inner: st.lists(
        st.one_of(st.just("step"), st.lists(inner, min_size=1, max_size=3)), max_size=3
    ),
    max_leaves=8,
)


async def play(program: list[Any], step: Any, place: str = "") -> list[Any]:
    found: list[Any] = []
    for i, part in enumerate(program):
        here = f"{place}{i}"
        if part == "step":
            found.append(await step(here))
        else:
            inner = (play(p, step, f"{here}.{j}/") for j, p in enumerate(part))
            found.append(await asyncio.gather(*inner))
    return found


async def plainly(program: list[Any]) -> Any:
    async def step(place: str) -> str:
        await asyncio.sleep(0)
        return f"did {place}"

    return await play(program, step)


class Server:
    """Keeps one run of a program."""

    def __init__(self, program: list[Any]) -> None:
        self.executed: Counter[str] = Counter()
        self.bodies: list[bytes] = [b""]
        self.owed = [0]
        self.ended: Decided | None = None
        self.program = program

        async def function(context: Any) -> Any:
            await context.run("first", lambda: 0)

            def step(place: str) -> Any:
                def body() -> str:
                    self.executed[place] += 1
                    return f"did {place}"

                return context.run(place, body)

            return await play(program, step)

        self.workflow = Workflow("/program", function, limits=Limits())

    async def deliver(self, element: int) -> None:
        """One visit. What it submits is appended and owed."""
        listed = [raw_element(f"m{i}", body) for i, body in enumerate(self.bodies[: element + 1])]
        visit = read_visit(json.dumps(listed).encode())
        decided = Nothing() if visit.repeated else await self._visit(visit)
        if isinstance(decided, Send):
            for item in json.loads(decided.request.body):
                self.owed.append(len(self.bodies))
                self.bodies.append(item["body"].encode())
        elif isinstance(decided, Completed | Failed):
            assert self.ended is None or self.ended == decided
            self.ended = decided

    async def _visit(self, visit: Visit) -> Decided:
        journal = WireJournal(
            RUN, visit.steps, retried=0, webhook_base=lambda: "", new_id=lambda n: "x" * n
        )
        invocation = self.workflow.invoke(
            RUN, RunOptions(retries=1000), History([], []), journal, journal, groups=journal,
            task_context=copy_context(),
        )  # fmt: skip
        decided = await asyncio.wait_for(journal.decided, 20)
        invocation.close()
        await journal.over
        return decided


@given(programs, st.randoms(use_true_random=False), st.integers(0, 3))
def test_any_order_of_visits_gives_what_asyncio_gives(
    program: list[Any], order: random.Random, repeats: int
) -> None:
    async def both() -> None:
        install(asyncio.get_running_loop())
        server = Server(program)
        again = repeats
        while server.owed:
            at = order.randrange(len(server.owed))
            element = server.owed[at]
            if again and order.random() < 0.2:
                again -= 1  # its answer was lost: it will be delivered once more
            else:
                del server.owed[at]
            await server.deliver(element)

        assert isinstance(server.ended, Completed), server.ended
        assert json.loads(server.ended.data) == await plainly(program)
        steps = [json.loads(body) for body in server.bodies[1:]]
        submitted = Counter((s["stepId"], s.get("targetStep")) for s in steps)
        if again == repeats:
            assert set(server.executed.values()) <= {1}
            assert set(submitted.values()) <= {1}
        numbers = {s["stepId"] for s in steps if not s.get("targetStep")}
        assert numbers == set(range(1, len(numbers) + 1))
        names: dict[int, set[str]] = {}
        for s in steps:
            names.setdefault(s.get("targetStep") or s["stepId"], set()).add(s["stepName"])
        assert all(len(found) == 1 for found in names.values()), names

    asyncio.run(both())
