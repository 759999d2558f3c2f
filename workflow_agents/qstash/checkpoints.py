"""What a process tells our own server of the invocations that it has in hand.

All of them share one line of requests: the next one leaves when the former is answered, and
carries whatever the code of all of them has come to meanwhile. While invocations are in hand
for longer than a moment, the process also waits for news in a request of its own, which is its
sign of life, and what it says goes over a channel, if there is one to be had.

Only the journal of an invocation knows what is said here. Source: `core.checkpoints`.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from workflow_agents.core.checkpoint_json import NotFrames, read_answer, write_batch
from workflow_agents.core.checkpoints import (
    CHANNEL,
    PATH,
    Adoption,
    Batch,
    End,
    Frame,
    News,
    Notified,
    Planned,
    Record,
    Remember,
    Rest,
    Said,
    Told,
    Yield,
)
from workflow_agents.core.journal import Call, Completed, Invoke
from workflow_agents.errors import RemoteError
from workflow_agents.qstash.connection import Connection, ServerRequest, new_id
from workflow_agents.stopping import process_stops

if TYPE_CHECKING:
    from workflow_agents.qstash.checkpoint_channel import Channel

logger = logging.getLogger(__name__)

_MOST_BYTES = 4 * 2**20
"""Of one request; a frame that is larger goes alone."""

_MOMENT_S = 0.05
_AGAIN_S = 1.0
_LOOK_EVERY_S = 0.25
"""How soon it is seen that this process was asked to end."""

_LAST_WORDS_S = 2.0
"""How long the server may take to hear of it."""


class Listener(Protocol):
    """Who hears what the server says of an invocation."""

    def settled(self, frame: int) -> None:
        """Everything up to this frame is stored."""
        ...

    def news(self, news: News) -> None:
        """This was stored, in the order of storing."""
        ...

    def closed(self, error: Exception | None) -> None:
        """The invocation is over; with an error: the server cannot be told of it."""
        ...


class Line:
    """One invocation's part of it.

    Attributes:
        run_id: of the run.
        by: the fencing token, or how the run is adopted.
    """

    def __init__(self, lines: "Lines", run_id: str, by: int | Adoption, listener: Listener) -> None:
        self.run_id = run_id
        self.by = by
        self._lines = lines
        self._listener = listener
        self._said = 0
        self._out: deque[tuple[int, Frame]] = deque()
        self._seen = 0
        self._gone = False
        self._given_back = False

    @property
    def has_spoken(self) -> bool:
        """Whether anything was said."""
        return self._said > 0

    def say(self, frame: Frame) -> int:
        """Tell the server; the number of the frame."""
        self._said += 1
        if not self._gone and (not self._given_back or isinstance(frame, Yield)):
            self._out.append((self._said, frame))
            self._lines.speak_soon()
        return self._said

    def rest(self) -> None:
        """Tell the server that the code waits for nothing but news."""
        self.say(Rest(self._seen))

    def give_back(self) -> None:
        """This process stops: the run is to go on elsewhere. What was said before still counts."""
        if not self._gone and not self._given_back:
            self._given_back = True
            self.say(Yield())

    def leave(self) -> None:
        """Nothing more is said or heard."""
        self._gone = True
        self._out.clear()
        self._lines.left(self)

    def close(self, error: Exception | None = None) -> None:
        """The invocation is over."""
        if not self._gone:
            self.leave()
            self._listener.closed(error)

    @property
    def waits(self) -> bool:
        """Whether there is something to say."""
        return bool(self._out)

    def next(self, most: int) -> tuple[Said, int]:
        """What is said next, in about so many bytes, and how many it has."""
        frames: list[Frame] = []
        size = 0
        for _, frame in self._out:
            if frames and size > most:
                break
            frames.append(frame)
            size += size_of(frame)
        first = self._out[0][0] if frames else self._said + 1
        return Said(self.run_id, self.by, self._seen, first, frames), size

    def heard(self, said: Said, told: Told) -> None:
        """The answer to what was said."""
        if self._gone:
            return
        last = said.first + len(said.frames) - 1
        while self._out and self._out[0][0] <= last:
            self._out.popleft()
        if isinstance(self.by, Adoption) and not told.closed:
            self.by = told.token
        for number, news in enumerate(told.news, told.first):
            if number > self._seen:
                self._seen = number
                self._listener.news(news)
        self._listener.settled(last)
        if told.closed:
            # A visit that adopts its run and is answered 200 is done with, for the server.
            self.close(_not_adopted() if isinstance(self.by, Adoption) else None)


class Lines:
    """The invocations that this process has in hand for one server, on one loop. See the module.

    Args:
        connection: to the server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        # Whoever speaks first may be a branch of a workflow; a task of its would be one, too.
        self._context = copy_context()
        self._name = new_id(16)
        self._lines: dict[str, Line] = {}
        self._speaking: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._channel: Channel | None = None
        self._no_channels = False
        self._called = False
        self._all = False
        self._looks = False
        self._emptied: asyncio.Event | None = None
        self._spoken = asyncio.Event()

    @property
    def is_of_this_loop(self) -> bool:
        """Whether it can be used here."""
        return self._loop is asyncio.get_running_loop()

    def open(self, run_id: str, by: int | Adoption, listener: Listener) -> Line:
        """A new invocation. An older one of its run is over: the server has begun another."""
        older = self._lines.get(run_id)
        if older is not None:
            older.close()
        line = self._lines[run_id] = Line(self, run_id, by, listener)
        if self._listening is None:
            self._loop.call_later(_MOMENT_S, self._listen, context=self._context)
        if not self._looks:
            self._looks = True
            self._loop.call_later(_LOOK_EVERY_S, self._look, context=self._context)
        return line

    def left(self, line: Line) -> None:
        """An invocation is over."""
        if self._lines.get(line.run_id) is line:
            del self._lines[line.run_id]
            if not self._lines and self._emptied is not None:
                self._emptied.set()
            if not self._lines and self._listening is not None:
                self._loop.call_later(_MOMENT_S, self._listen, context=self._context)

    def speak_soon(self) -> None:
        """There is something to say; what the code comes to in this turn goes along."""
        if self._speaking is None and not self._called:
            self._called = True
            self._loop.call_soon(self._speak, context=self._context)

    def _speak(self) -> None:
        self._called = False
        if self._speaking is None:
            self._speaking = self._task(self._speak_on())

    async def _speak_on(self) -> None:
        try:
            while said := self._batch():
                await self._exchange(said)
                self._spoken.set()
        finally:
            self._speaking = None
            self._spoken.set()
            if any(line.waits for line in self._lines.values()):
                self.speak_soon()

    def _batch(self) -> list[tuple[Line, Said]]:
        everyone, self._all = self._all, False
        batch: list[tuple[Line, Said]] = []
        left = _MOST_BYTES
        for line in [*self._lines.values()]:
            if left > 0 and (line.waits or everyone):
                said, size = line.next(left)
                batch.append((line, said))
                left -= size
        return batch

    async def _exchange(self, batch: list[tuple[Line, Said]]) -> None:
        body = write_batch(Batch(self._name, [said for _, said in batch]))
        try:
            told = read_answer(await self._ask(body))
        except (RemoteError, NotFrames) as error:
            logger.error("runs in hand are left to the server: %s", error)
            # Nonsense that somebody in between has answered is no failure of the code.
            heard = error if isinstance(error, RemoteError) else _not_heard(str(error))
            for line in [*self._lines.values()]:
                line.close(heard)
            return
        for (line, said), one in zip(batch, told, strict=True):
            line.heard(said, one)

    def _look(self) -> None:
        """Give everything back, if the process is asked to end: its visits hold it up."""
        self._looks = bool(self._lines)
        if self._looks:
            if process_stops():
                self.give_back()
            self._loop.call_later(_LOOK_EVERY_S, self._look, context=self._context)

    def give_back(self) -> None:
        """This process stops: all runs in hand go on elsewhere."""
        for line in [*self._lines.values()]:
            line.give_back()
            self._loop.call_later(_LAST_WORDS_S, line.close)

    async def _ask(self, body: bytes) -> bytes:
        if self._channel is not None:
            answer = await self._channel.exchange(body)
            if answer is not None:
                return answer
            # Whether it was heard or not: it is said again as it is.
            self._hang_up()
        elif self._opening is None and not self._no_channels:
            self._opening = self._task(self._open_channel())
        headers = {"content-type": "application/json"}
        return await self._connection.fetch(ServerRequest("POST", PATH, headers, body))

    async def _open_channel(self) -> None:
        try:
            self._channel = await self._connection.open_channel(CHANNEL)
            self._no_channels = self._channel is None
        finally:
            self._opening = None

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._no_channels = self._channel.broken
            self._channel.close()
            self._channel = None

    def _listen(self) -> None:
        """Listen as long as invocations are in hand, and are so for more than a moment."""
        if self._lines and self._listening is None:
            self._listening = self._task(self._listen_on())
        elif not self._lines and self._listening is not None:
            self._listening.cancel()

    async def _listen_on(self) -> None:
        request = ServerRequest("GET", f"{PATH}/{self._name}", {})
        try:
            while self._lines:
                try:
                    await self._connection.fetch(request)
                except RemoteError as error:
                    logger.warning("the server is not heard: %s", error)
                    await asyncio.sleep(_AGAIN_S)
                # News come by the answer to what is said: until then they are there to be had.
                self._all = True
                self._spoken.clear()
                self.speak_soon()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_S):
                        await self._spoken.wait()
        finally:
            self._listening = None

    def _task(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._loop.create_task(coroutine, context=self._context.copy())

    async def close(self) -> None:
        """Give back what is in hand, and end the requests that are under way."""
        if self._lines:
            self.give_back()
            self._emptied = asyncio.Event()
            # Each of them is closed by then, whether the server has answered or not.
            await self._emptied.wait()
        for line in [*self._lines.values()]:
            line.close()
        tasks = [
            task for task in (self._speaking, self._listening, self._opening) if task is not None
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._hang_up()


def size_of(frame: Frame) -> int:
    """About how many bytes a frame takes."""
    match frame:
        case Record(data=data) | Notified(data=data) | End(Completed(data)):
            return len(data)
        case Planned(plan=Call(body=body) | Invoke(body=body)):
            return len(body)
        case Remember(messages=messages):
            return sum(map(len, messages))
        case _:
            return 0


def _not_adopted() -> RemoteError:
    return _not_heard("it did not take the run over: it has ended, or is visited anew")


def _not_heard(found: str) -> RemoteError:
    return RemoteError("WA303", "the QStash server was not heard", found=found, status=0, body="")
