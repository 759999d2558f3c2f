"""What a process tells its server of the invocations in hand; the server is played."""

import asyncio
from typing import Any

from workflow_agents.core.checkpoint_json import write_answer
from workflow_agents.core.checkpoints import Adoption, Record, Told
from workflow_agents.errors import RemoteError
from workflow_agents.protocol.history import StepKind
from workflow_agents.qstash.checkpoints import Lines
from workflow_agents.qstash.connection import ServerRequest

RECORD = Record((1,), StepKind.RUN, "step", ok=True, waited=False, data=b"1")


class Server:
    """Answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def fetch(self, request: ServerRequest) -> bytes:
        self.asked.append(request.method)
        return b"{}" if request.method == "GET" else await self.answers.get()

    async def open_channel(self, path: str) -> None: ...


class Listener:
    def __init__(self) -> None:
        self.closed_by: list[Exception | None] = []

    def settled(self, frame: int) -> None: ...

    def news(self, news: Any) -> None: ...

    def closed(self, error: Exception | None) -> None:
        self.closed_by.append(error)


def told(token: int, *, closed: bool = False) -> bytes:
    return write_answer([Told(token, 1, (), closed=closed)])


async def test_news_are_asked_for_once_while_the_server_is_slow_to_answer() -> None:
    server: Any = Server()
    lines = Lines(server)
    line = lines.open("wfr_1", 1, Listener())
    line.say(RECORD)
    await asyncio.sleep(0.1)
    assert server.asked.count("GET") == 1

    server.answers.put_nowait(told(1))
    await asyncio.sleep(0.01)
    assert server.asked.count("GET") > 1
    line.leave()
    server.answers.put_nowait(told(1))
    await lines.close()


async def test_who_has_not_adopted_a_run_says_so_and_who_has_lost_one_does_not() -> None:
    server: Any = Server()
    lines = Lines(server)
    refused, lost = Listener(), Listener()
    lines.open("wfr_1", Adoption("msg_1", 1), refused).say(RECORD)
    server.answers.put_nowait(told(0, closed=True))
    await asyncio.sleep(0.01)
    lines.open("wfr_2", 5, lost).say(RECORD)
    server.answers.put_nowait(told(5, closed=True))
    await asyncio.sleep(0.01)

    [error] = refused.closed_by
    assert isinstance(error, RemoteError)
    assert lost.closed_by == [None]


async def test_nonsense_on_the_way_is_an_answer_that_did_not_come() -> None:
    server: Any = Server()
    listener = Listener()
    Lines(server).open("wfr_1", 5, listener).say(RECORD)
    server.answers.put_nowait(b"<h1>log in first</h1>")
    await asyncio.sleep(0.01)
    [error] = listener.closed_by
    assert isinstance(error, RemoteError)
