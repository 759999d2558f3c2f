"""A language model for tests: an OpenAI-compatible server on loopback that follows a script.

    with ScriptedModel() as model:
        model.call_tools(("weather", {"city": "Oslo"}))
        model.say("It is cold in Oslo.")
        ...                                   # agents talk to model.base_url
        model.assert_done()

Replies are given in the order of the script. Where agents work in parallel, `when` picks the
reply by the request, so that a test does not depend on who is faster. Requests are checked as
strictly as by the real API (`_chat_rules`); one that is refused uses up no reply. Real sockets
are used, so that clients, engines and other processes can be tested with it. It answers chat
completions only, and does not stream.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from workflow_agents.testing._chat_rules import Refused, check
from workflow_agents.testing._http import HttpAnswer, HttpServer
from workflow_agents.testing._replies import (
    Broken,
    BrokenKind,
    CallTools,
    Error,
    Reply,
    Say,
    Slow,
    answer,
    as_json,
)

__all__ = [
    "Broken",
    "CallTools",
    "Error",
    "RecordedRequest",
    "Reply",
    "Say",
    "ScriptedModel",
    "Slow",
]

_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that the model received.

    Attributes:
        headers: names in lower case.
        body: its JSON.
        agent: the name of the agent that sent it; "" if it does not say.
    """

    headers: Mapping[str, str]
    body: dict[str, Any]
    agent: str

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation so far."""
        return self.body["messages"]

    @property
    def prompt(self) -> str:
        """The text of the last user message."""
        users = [m["content"] for m in self.messages if m["role"] == "user"]
        return str(users[-1]) if users else ""

    @property
    def tools(self) -> list[str]:
        """The names of the tools that are offered."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]


Matcher = Callable[[RecordedRequest], bool]
Scripted = Reply | str | Callable[[RecordedRequest], Reply | str]
"""A reply, a text to say, or a function that makes either of the request."""


@dataclass(slots=True)
class _Entry:
    number: int
    reply: Scripted
    matches: Matcher | None = None
    repeat: bool = False
    used: int = 0

    @property
    def waits(self) -> bool:
        return self.repeat or not self.used


class ScriptedModel:
    """A scripted OpenAI-compatible model; a context manager, sync and async.

    Args:
        api_key: the only key that is accepted; None accepts any.

    Attributes:
        requests: the requests that passed the checks, in the order of arrival.
        refused: what was told to those that did not pass.
        unanswered: the requests that the script had no reply for.
    """

    def __init__(self, *, api_key: str | None = None) -> None:
        self.requests: list[RecordedRequest] = []
        self.refused: list[str] = []
        self.unanswered: list[RecordedRequest] = []
        self._api_key = api_key
        self._script: list[_Entry] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server: HttpServer | None = None

    @property
    def base_url(self) -> str:
        """What a client takes as base URL: "http://127.0.0.1:<port>/v1"."""
        if self._server is None:
            raise RuntimeError("the model is not started: use it as `with ScriptedModel() as m`")
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def say(
        self, text: str, *, finish_reason: str = "stop", usage: tuple[int, int] | None = None
    ) -> Self:
        """Answer in text. `usage`: prompt and completion tokens; default: words."""
        return self._add(Say(text, finish_reason, usage))

    def call_tools(
        self,
        *calls: tuple[str, Mapping[str, Any] | str],
        text: str | None = None,
        usage: tuple[int, int] | None = None,
    ) -> Self:
        """Call tools, all in one turn: `call_tools(("weather", {"city": "Oslo"}))`."""
        return self._add(CallTools(calls, text, usage))

    def error(self, status: int, message: str, *, code: str | None = None) -> Self:
        """Answer with an error of the API."""
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return self._add(Error(status, message, kind, code))

    def rate_limit(self, retry_after: int = 1) -> Self:
        """Answer with 429 and a `Retry-After` in seconds."""
        message = "Rate limit reached for requests. Please try again later."
        code = "rate_limit_exceeded"
        return self._add(Error(429, message, "requests", code, retry_after=retry_after))

    def slow(self, seconds: float, then: Reply | str) -> Self:
        """Answer after a while."""
        return self._add(Slow(seconds, Say(then) if isinstance(then, str) else then))

    def broken(self, kind: BrokenKind) -> Self:
        """Give no usable answer: "dropped", "truncated", "html" or "empty"."""
        return self._add(Broken(kind))

    def when(self, matches: Matcher, *replies: Scripted, repeat: bool = False) -> Self:
        """Give these replies, in their order, to requests that match.

            model.when(lambda request: request.agent == "critic", "Too long.", "Good.")

        They come before the ordered script, which answers what matches nothing.

        Args:
            matches: gets the request.
            replies: replies, texts to say, or functions that make either of the request.
            repeat: use the first of them for every request that matches.
        """
        for reply in replies:
            self._add(reply, matches, repeat=repeat)
        return self

    @property
    def remaining(self) -> list[Scripted]:
        """The replies that nobody has asked for; those that repeat, if never used."""
        with self._lock:
            return [entry.reply for entry in self._script if not entry.used]

    def assert_done(self) -> None:
        """Check that the script was used up, and that no other request came.

        Raises:
            AssertionError: it was not; the message says how.
        """
        problems = [f"never asked for: {reply}" for reply in self.remaining]
        problems += [f"refused: {message}" for message in self.refused]
        problems += [f"unanswered: {r.agent!r}: {r.prompt!r}" for r in self.unanswered]
        if problems:
            raise AssertionError("the script was not followed\n  " + "\n  ".join(problems))

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._server = HttpServer(self._handle)
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop listening; answers that are still waited for are cut short."""
        self._ended.set()
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _add(
        self, reply: Scripted, matches: Matcher | None = None, *, repeat: bool = False
    ) -> Self:
        with self._lock:
            self._script.append(_Entry(len(self._script) + 1, reply, matches, repeat))
        return self

    def _handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> HttpAnswer | None:
        try:
            request = self._checked(method, path, headers, body)
        except Refused as refused:
            with self._lock:
                self.refused.append(refused.message)
            return as_json(refused.status, refused.as_json(), {"x-should-retry": "false"})
        reply, number = self._reply_to(request)
        if reply is None:
            message = f"ScriptedModel has no reply left for {request.agent!r}: {request.prompt!r}"
            problem = Refused(message, error_code="script_exhausted", kind="server_error")
            return as_json(500, problem.as_json(), {"x-should-retry": "false"})
        while isinstance(reply, Slow):
            self._ended.wait(reply.seconds)
            reply = reply.then
        return answer(reply, request.body, number)

    def _checked(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> RecordedRequest:
        if path.partition("?")[0] != _PATH:
            raise Refused(f"Invalid URL ({method} {path})", status=404)
        if method != "POST":
            raise Refused(f"Not allowed to {method} on {path}.", status=405)
        self._check_key(headers.get("authorization", ""))
        kind = headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise Refused(
                f"Unsupported content type: '{kind}'. This API method only accepts "
                "'application/json' requests.",
                error_code="unsupported_content_type",
            )
        try:
            parsed = json.loads(body)
        except ValueError:
            raise Refused("We could not parse the JSON body of your request.") from None
        check(parsed)
        return RecordedRequest(headers, parsed, unquote(headers.get("upstash-agent-name", "")))

    def _check_key(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        if scheme != "Bearer" or not key.strip():
            raise Refused(
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                status=401,
            )
        if self._api_key not in (None, key):
            raise Refused("Incorrect API key provided.", error_code="invalid_api_key", status=401)

    def _reply_to(self, request: RecordedRequest) -> tuple[Reply | None, str]:
        with self._lock:
            self.requests.append(request)
            entry = self._next_entry(request)
            if entry is None:
                self.unanswered.append(request)
                return None, ""
            entry.used += 1
            number = str(entry.number) + (f"-{entry.used}" if entry.repeat else "")
        reply = entry.reply(request) if callable(entry.reply) else entry.reply
        return (Say(reply) if isinstance(reply, str) else reply), number

    def _next_entry(self, request: RecordedRequest) -> _Entry | None:
        waiting = [entry for entry in self._script if entry.waits]
        for entry in waiting:
            if entry.matches is not None and entry.matches(request):
                return entry
        return next((entry for entry in waiting if entry.matches is None), None)
