"""Server-sent events of what happens: an ASGI app around `engine.broadcast`.

A stream is of one run (`?workflowRunId=`), of the runs with a label (`?label=`), or of everything.
It begins with `open`; then comes an `entry` for each entry of the feed, with its place in the feed
as the event's id. A reader who comes back with that in `Last-Event-ID` goes on behind it. While
nothing happens, a comment every few seconds shows that both sides live.

A reader who takes nothing for `patience` seconds is frozen: its connection is closed, and the log
says so. It may come back as any other, and has missed nothing.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.feed_events import CLOSING, END, OPEN, frame, mark
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.broadcast import Broadcast, Subscription
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import LimitError, NotFound, StoreError, WorkflowAgentsError
from workflow_agents.operations import tickets
from workflow_agents.operations.mounting import (
    HasCore,
    Receive,
    Scope,
    Send,
    answer,
    core_of,
    header,
    may_ask,
    refuse,
    refuse_stranger,
)
from workflow_agents.operations.tickets import Ticket
from workflow_agents.protocol.times import duration_ms
from workflow_agents.stopping import process_stops

logger = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
PATIENCE_S = 20.0
_LAST_WORDS_S = 1.0
"""How long a reader may take for what it is told at the end of the process."""

_LOOK_EVERY_S = 0.5
_LONGEST_RESULT = 256 * 1024
"""What a run returned is told at the end of its stream, up to so many bytes."""

CLIENT = Path(__file__).parents[1] / "dashboard" / "static" / "client.js"
"""The file by which a web page follows a run; it is made of `dashboard/web/src/client.ts`."""

_FRESH = ((b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff"))
STREAMING = "workflow_agents.streaming"
"""The extension of a scope by which our own server serves a stream: `narrow` bounds what the
system buffers of it; `abort` cuts it, because the last bytes for a frozen reader never leave."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Asked(NamedTuple):
    """What a request asks to be told.

    Attributes:
        run_id: one run.
        label: the runs with it.
        after: the last entry that is known; None: see `Broadcast.subscribe`.
        words: also what is said in the replies of the run.
        outlined: without what steps return, and why they fail.
    """

    run_id: str | None
    label: str | None
    after: int | None
    words: bool
    outlined: bool = False

    @classmethod
    def of(cls, query: Mapping[str, Sequence[str]], last_event_id: str | None) -> "Asked":
        """Read it.

        Raises:
            ConfigurationError: WA102, with the option named.
        """
        run_id, label = (query.get(name, [None])[-1] for name in ("workflowRunId", "label"))
        words = query.get("words", ["false"])[-1]
        if run_id and label:
            raise wrong_option("label", "a run or a label", "both")
        if words not in {"true", "false"} or (words == "true" and not run_id):
            raise wrong_option("words", "true or false, of one run", words)
        after = last_event_id or query.get("after", [""])[-1]
        if after and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise wrong_option("Last-Event-ID", "the id of an event", after[:100])
        return cls(run_id or None, label or None, int(after) if after else None, words == "true")

    def with_ticket(self, ticket: Ticket) -> "Asked | None":
        """As much of it as a ticket allows; None: it is for another run."""
        if self.run_id != ticket.run_id:
            return None
        return self._replace(words=self.words and ticket.words, outlined=not ticket.data)


class Stream:
    """One stream of events, as an ASGI app that answers one request.

    Args:
        engine: tells.
        asked: what.
        heartbeat_s: after so long without an event comes a comment.
        patience_s: how long the reader may take nothing.

    Raises:
        NotFound: WA606, no such run.
        LimitError: WA506, too many streams are open.
        StoreError: the engine stops, or its store cannot be read.
    """

    def __init__(
        self,
        engine: DurableEngine,
        asked: Asked,
        heartbeat_s: float = HEARTBEAT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        engine.ensure_running()
        run = None if asked.run_id is None else engine.admin.find(asked.run_id).id
        self._engine = engine
        self._asked = asked
        self._heartbeat_s = heartbeat_s
        self._patience_s = patience_s
        self._broadcast = engine.broadcast
        self._subscription = self._broadcast.subscribe(
            run=run, label=asked.label, after=asked.after, words=asked.words
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until there is no more, or nobody reads."""
        subscription = self._subscription
        gone = asyncio.ensure_future(_gone(receive))
        gone.add_done_callback(lambda _gone: subscription.wake())
        extensions: dict[str, Any] = scope.get("extensions") or {}
        means = extensions.get(STREAMING)
        if means is not None:
            means["narrow"]()
        try:
            await self._tell(subscription, gone, send)
        except TimeoutError:
            # Nothing more reaches it, so what it is told last is in the log.
            client = (scope.get("client") or ["?"])[0]
            logger.warning(
                "a stream of events is closed: its reader at %s is frozen, and has not taken what"
                " comes behind event %d",
                client,
                subscription.position,
            )
            if means is not None:
                means["abort"]()
                await asyncio.sleep(0)
        except StoreError as error:
            logger.error("a stream of events is closed: %s", error)
        finally:
            subscription.close()
            gone.cancel()

    async def _tell(
        self, subscription: Subscription, gone: "asyncio.Future[None]", send: Send
    ) -> None:
        broadcast = self._broadcast
        position = subscription.position
        frames = self._take(subscription)
        if not frames and subscription.over:
            # Whoever comes back by itself, as browsers do, is told by this that it need not.
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        # What comes behind it is not seen yet.
        began = frame(OPEN, {"position": position}, position)
        await self._send(send, b"".join([began, *frames]))
        while not gone.done():
            if frames := self._take(subscription):
                await self._send(send, b"".join(frames))
            elif subscription.over or broadcast.closed:
                over = subscription.over
                last = frame(END, self._end()) if over else frame(CLOSING, _why(broadcast))
                async with asyncio.timeout(_LAST_WORDS_S):
                    await send({"type": "http.response.body", "body": last, "more_body": True})
                    await send({"type": "http.response.body", "body": b""})
                return
            elif not await subscription.wait(self._heartbeat_s):
                await self._send(send, mark(subscription.position))

    def _take(self, subscription: Subscription) -> list[bytes]:
        return subscription.take(outlined=self._asked.outlined)

    def _end(self) -> dict[str, Any]:
        """How the run has ended, and with what; no entry tells what it returned."""
        row = self._engine.admin.find(self._asked.run_id or "")
        told: dict[str, Any] = {"status": row.phase.name.lower()}
        if row.phase is not Phase.SUCCESS:
            return told
        result = self._engine.admin.log(row, steps=False).result
        if len(row.result or b"") > _LONGEST_RESULT:
            return told | {"leftOut": True}
        return told | {"result": result}

    async def _send(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(self._patience_s) as patience:
            sending = {"type": "http.response.body", "body": body, "more_body": True}
            if self._broadcast.closed:
                patience.reschedule(asyncio.get_running_loop().time() + _LAST_WORDS_S)
            await send(sending)


class EventStream:
    """Tells of what happens as server-sent events: an ASGI app, to be mounted in yours.

    ```python
    app.mount("/events", EventStream(serve.engine, token="..."))
    ```

    `GET /events?workflowRunId=wfr_...` follows a run, `?label=...` the runs with a label, and
    without either it tells of everything that happens from now on; `?after=0` from the
    beginning. `&words=true` adds what is said in the replies of a run while it is said. A reader
    who comes back sends `Last-Event-ID`, as `EventSource` does. `GET /events/client.js` is the
    module by which a web page follows a run.

    Args:
        engine: whose events; it turns on the loop of the app.
        token: is asked for as `Authorization: Bearer <token>`; None, and no tickets: anyone may
            read.
        tickets: whoever shows a `ticket`, as a token is shown, may follow the run that it is for.
        heartbeat: seconds after which a comment shows that the connection lives.
        patience: seconds for which a reader may take nothing before it is closed.
    """

    def __init__(
        self,
        engine: DurableEngine | HasCore,
        *,
        token: str | None = None,
        tickets: bool = False,
        heartbeat: float = HEARTBEAT_S,
        patience: float = PATIENCE_S,
    ) -> None:
        self._given = engine
        self._token = token
        self._tickets = tickets
        self._heartbeat_s = heartbeat
        self._patience_s = patience
        self._watch: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        if scope["method"] != "GET":
            await refuse(send, 405, "a stream is asked for with GET", (b"allow", b"GET"))
        elif _below(scope).strip("/") == CLIENT.name:
            await answer(send, 200, CLIENT.read_bytes(), "text/javascript; charset=utf-8", *_FRESH)
        else:
            await self._answer(scope, receive, send)

    def ticket(
        self,
        run_id: str,
        *,
        lasts: int | float | str = "1h",
        words: bool = False,
        data: bool = False,
    ) -> str:
        """What lets a visitor of your app follow one run, and do nothing else.

        He is told which steps happen, what waits ask (their `details`), and what the run
        returns. Who hands it out decides who may have it; a stream that is open stays so.

        Args:
            run_id: of the run.
            lasts: for how long a stream can be begun with it: seconds or "1h".
            words: he also hears what models say while they say it.
            data: he is also told what steps return and why they fail, and the ids of events.

        Raises:
            ConfigurationError: WA102, the stream takes no tickets; WA103, `lasts` is no time.
        """
        if not self._tickets:
            raise wrong_option("tickets", "True, for a stream of which there are tickets", False)
        engine = core_of(self._given)
        until = engine.clock.now_ms() + duration_ms(lasts)
        return tickets.written(Ticket(run_id, until, words, data), engine.sealer)

    def _allowed(self, scope: Scope, engine: DurableEngine, asked: Asked) -> Asked | None:
        """What of it the reader may be told; None: nothing."""
        if (self._token is not None or not self._tickets) and may_ask(scope, self._token):
            return asked
        if not self._tickets:
            return None
        _, _, given = (header(scope, "authorization") or "").partition(" ")
        ticket = tickets.read(given.strip(), engine.sealer, engine.clock.now_ms())
        return None if ticket is None else asked.with_ticket(ticket)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = core_of(self._given)
        if engine.running and engine.loop is not asyncio.get_running_loop():
            await refuse(send, 503, "the engine turns on another event loop than this app")
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        try:
            asked = Asked.of(query, header(scope, "last-event-id"))
            allowed = self._allowed(scope, engine, asked)
            if allowed is None:
                await refuse_stranger(send)
                return
            stream = Stream(engine, allowed, self._heartbeat_s, self._patience_s)
        except WorkflowAgentsError as error:
            await refuse(send, status_of(error), str(error.what))
            return
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(_end_with_process(engine))
        await stream(scope, receive, send)


def _below(scope: Scope) -> str:
    """The path below the place where the app is mounted."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _why(broadcast: Broadcast) -> dict[str, Any]:
    return {"reason": broadcast.closed}


async def _end_with_process(engine: DurableEngine) -> None:
    """End the streams when the process is asked to end.

    A server waits for its connections before it tells the app that it stops.
    """
    while len(engine.broadcast):
        if process_stops():
            engine.broadcast.close("the process stops")
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def status_of(error: WorkflowAgentsError) -> int:
    """The HTTP status of an error that lets no stream begin."""
    match error:
        case NotFound():
            return 404
        case LimitError() | StoreError():
            return 503
        case _:
            return 400


async def _gone(receive: Receive) -> None:
    """Wait until the reader has hung up."""
    message: dict[str, Any] = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
