"""What an endpoint says of a run counts once, and only while the run is its own.

The frames are written here, as an endpoint would that was cut off, or that is not the last one.
"""

import asyncio
from pathlib import Path

import pytest

from tests.journeys.js_endpoint import Endpoint
from tests.journeys.remote_world import URL, ended, running, until
from workflow_agents.core.checkpoints import (
    Adoption,
    Batch,
    End,
    Frame,
    Recall,
    Recalled,
    Record,
    Said,
    Taken,
    Told,
)
from workflow_agents.core.journal import Completed
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.protocol.history import StepKind

RUN = "wfr_1"
ONE = Record("one", StepKind.RUN, "one", ok=True, waited=False, data=b"1")
OTHER = Record("one", StepKind.RUN, "one", ok=True, waited=False, data=b"2")
DONE = End(Completed(b'"done"'))


class Held(Endpoint):
    """An endpoint whose visits last until `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[HttpRequest] = []
        self.answer = asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.held.append(request)
        await self.answer.wait()
        headers = {"upstash-workflow-sdk-version": ["1"], "upstash-workflow-sdk": ["v1.3.2"]}
        return HttpResponse(200, headers, b"{}")

    async def visited(self) -> Adoption:
        """Begin the run; how it is adopted."""
        await self.trigger(URL, RUN)
        await until(lambda: self.held)
        return Adoption(self.held[0].headers["Upstash-Message-Id"], 1)

    async def say(self, by: int | Adoption, *frames: Frame, first: int = 1, seen: int = 0) -> Told:
        batch = Batch("endpoint", [Said(RUN, by, seen, first, [*frames])])
        [told] = await self.engine.wire.checkpoints.take(batch)
        return told

    def steps(self) -> list[bytes]:
        row = self.engine.admin.find(RUN)
        return [step.data for step in self.engine.store.history(row.id).recorded]


@pytest.fixture
async def endpoint() -> Held:
    return Held()


async def test_frames_whose_answer_was_lost_count_once(tmp_path: Path, endpoint: Held) -> None:
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        adoption = await endpoint.visited()
        first = await endpoint.say(adoption, ONE, Recall("shop", None, None))
        again = await endpoint.say(adoption, ONE, Recall("shop", None, None))
        # What is read does not wait for what is stored: they come in either order.
        assert len(first.news) == 2
        assert Taken(1) in first.news
        assert Recalled(2, 0, []) in first.news
        assert again == first
        assert endpoint.steps() == [b"1"]
        await endpoint.say(first.token, DONE, first=3)
        endpoint.answer.set()
        assert (await ended(engine, RUN)).phase is Phase.SUCCESS


async def test_a_step_is_recorded_once_whatever_is_said_of_it_later(
    tmp_path: Path, endpoint: Held
) -> None:
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        token = (await endpoint.say(await endpoint.visited(), ONE)).token
        await endpoint.say(token, OTHER, first=2)
        assert endpoint.steps() == [b"1"]
        await endpoint.say(token, DONE, first=3)
        endpoint.answer.set()
        await ended(engine, RUN)


async def test_who_has_another_token_is_told_that_it_is_over(
    tmp_path: Path, endpoint: Held
) -> None:
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        token = (await endpoint.say(await endpoint.visited(), ONE)).token
        for other in (token - 1, token + 1, 0):
            assert (await endpoint.say(other, DONE, first=2)).closed
        assert endpoint.steps() == [b"1"]
        assert (row := engine.admin.find(RUN)).phase is Phase.LEASED, row
        await endpoint.say(token, DONE, first=2)
        endpoint.answer.set()
        assert (await ended(engine, RUN)).phase is Phase.SUCCESS


async def test_a_run_is_adopted_by_the_visit_that_offers_it_and_no_other(
    tmp_path: Path, endpoint: Held
) -> None:
    async with running(str(tmp_path / "a.db"), endpoint) as engine:
        adoption = await endpoint.visited()
        for other in (
            adoption._replace(attempt=2),
            adoption._replace(message_id="msg_0000000zzz"),
            adoption._replace(message_id="none"),
        ):
            assert (await endpoint.say(other, ONE)).closed
        assert engine.admin.find(RUN).phase is Phase.REMOTE
        token = (await endpoint.say(adoption, ONE)).token
        await endpoint.say(token, DONE, first=2)
        endpoint.answer.set()
        await ended(engine, RUN)
        assert (await endpoint.say(adoption, OTHER)).closed
        assert endpoint.steps() == [b"1"]
