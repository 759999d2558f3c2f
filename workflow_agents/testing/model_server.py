"""A language model for tests: a server on loopback that follows a script.

    with ScriptedModel() as model:
        model.call_tools(("weather", {"city": "Oslo"}))
        model.say("It is cold in Oslo.")
        ...                                   # agents talk to model.base_url
        model.assert_done()

It speaks OpenAI's chat completions and Responses, and Anthropic's Messages, whole or as a
stream; one script answers on whichever is asked. Replies are given in the order of the script.
Where agents work in parallel, `when` picks the reply by the request, so that a test does not
depend on who is faster. Requests are checked as strictly as by the real APIs (`_chat_rules`,
`_responses_rules`, `_messages_rules`); one that is refused uses up no reply. Real sockets are
used, so that clients, engines and other processes can be tested with it.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from workflow_agents.testing._apis import BY_PATH, CHAT, Api, ApiName, as_json
from workflow_agents.testing._http import HttpAnswer, HttpServer
from workflow_agents.testing._replies import (
    Broken,
    BrokenKind,
    CallTools,
    Error,
    Reply,
    Say,
    Sent,
    Slow,
)
from workflow_agents.testing._rules import Refused

__all__ = [
    "Broken",
    "CallTools",
    "Error",
    "RecordedRequest",
    "Reply",
    "Say",
    "ScriptedModel",
    "Sent",
    "Slow",
]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that the model received.

    Attributes:
        headers: names in lower case.
        body: its JSON.
        agent: the name of the agent that sent it; "" if it does not say.
        api: the API that was asked.
    """

    headers: Mapping[str, str]
    body: dict[str, Any]
    agent: str
    api: ApiName = "chat"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation so far, as the API writes it."""
        told = self.body["input" if self.api == "responses" else "messages"]
        return [{"role": "user", "content": told}] if isinstance(told, str) else told

    @property
    def prompt(self) -> str:
        """The text of the last user message."""
        said = [_text(m["content"]) for m in self.messages if m.get("role") == "user"]
        return next((text for text in reversed(said) if text), "")

    @property
    def system(self) -> str:
        """What the model is told to be."""
        apart = self.body.get("instructions") or self.body.get("system")
        if apart:
            return _text(apart)
        told = [m for m in self.messages if m.get("role") in ("system", "developer")]
        return _text(told[0]["content"]) if told else ""

    @property
    def tools(self) -> list[str]:
        """The names of the tools that are offered."""
        tools: list[dict[str, Any]] = self.body.get("tools") or []
        return [tool.get("function", tool)["name"] for tool in tools]

    @property
    def streams(self) -> bool:
        """Whether the answer is to be a stream."""
        return bool(self.body.get("stream"))


def _text(content: Any) -> str:
    """The text of a message that may be in parts."""
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in content or () if "text" in part)


_LOOK_SECONDS = 0.02  # how soon a reply that is held notices the end of the server

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
    """A scripted model; a context manager, sync and async.

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
        """What OpenAI's clients take as base URL: "http://127.0.0.1:<port>/v1"."""
        return f"{self.anthropic_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """What Anthropic's clients take as base URL: "http://127.0.0.1:<port>"."""
        if self._server is None:
            raise RuntimeError("the model is not started: use it as `with ScriptedModel() as m`")
        return f"http://127.0.0.1:{self._server.server_port}"

    def say(
        self,
        text: str,
        *,
        finish_reason: str = "stop",
        usage: tuple[int, int] | None = None,
        cached: int = 0,
        reasoning: int = 0,
    ) -> Self:
        """Answer in text. `usage`: prompt and completion tokens; default: words."""
        return self._add(Say(text, finish_reason, usage, cached, reasoning))

    def call_tools(
        self,
        *calls: tuple[str, Mapping[str, Any] | str],
        text: str | None = None,
        usage: tuple[int, int] | None = None,
        cached: int = 0,
        reasoning: int = 0,
    ) -> Self:
        """Call tools, all in one turn: `call_tools(("weather", {"city": "Oslo"}))`."""
        return self._add(CallTools(calls, text, usage, cached, reasoning))

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

    def sent(
        self,
        then: Say | CallTools | str,
        *,
        pace: float = 0.0,
        held: threading.Event | None = None,
        cut: bool = False,
        failing: Error | None = None,
        after: int = 3,
    ) -> Self:
        """Answer slowly, word by word; or stop in the middle. See `Sent`."""
        reply = Say(then) if isinstance(then, str) else then
        return self._add(Sent(reply, pace, held, cut, failing, after))

    def broken(self, kind: BrokenKind) -> Self:
        """Give no usable answer: "dropped", "truncated", "html", "empty" or "nonsense"."""
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
        api = BY_PATH.get(path.partition("?")[0])
        try:
            if api is None:
                raise Refused(f"Invalid URL ({method} {path})", status=404)
            request = self._checked(api, method, path, headers, body)
        except Refused as refused:
            with self._lock:
                self.refused.append(refused.message)
            return (api or CHAT).refusal(refused)
        reply, number = self._reply_to(request)
        if reply is None:
            message = f"ScriptedModel has no reply left for {request.agent!r}: {request.prompt!r}"
            return api.refusal(
                Refused(message, error_code="script_exhausted", status=500, kind="server_error")
            )
        while isinstance(reply, Slow):
            self._ended.wait(reply.seconds)
            reply = reply.then
        return self._answer(api, reply, request, number)

    def _checked(
        self, api: Api, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> RecordedRequest:
        if method != "POST":
            raise Refused(f"Not allowed to {method} on {path}.", status=405)
        api.check_headers(headers, self._api_key)
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
        api.check(parsed)
        agent = unquote(headers.get("upstash-agent-name", ""))
        return RecordedRequest(headers, parsed, agent, api.name)

    def _answer(
        self,
        api: Api,
        reply: Say | CallTools | Error | Broken | Sent,
        request: RecordedRequest,
        number: str,
    ) -> HttpAnswer | None:
        if isinstance(reply, Error):
            return api.failure(reply)
        if isinstance(reply, Broken):
            return api.broken(reply.kind, request.body, number)
        sent = reply if isinstance(reply, Sent) else Sent(reply)
        if request.streams:
            events = api.events(sent.then, request.body, number)
            parts = self._travelling(sent, events, api)
            headers = {"content-type": "text/event-stream; charset=utf-8"}
            return HttpAnswer(200, b"", headers, parts, cut=sent.cut)
        if sent.held is not None:
            self._wait_for(sent.held)
        if sent.failing is not None:
            return api.failure(sent.failing)
        whole = as_json(200, api.whole(sent.then, request.body, number), cut=sent.cut)
        return HttpAnswer(whole.status, whole.body, whole.headers, cut=sent.cut)

    def _travelling(self, sent: Sent, events: Iterator[bytes], api: Api) -> Iterator[bytes]:
        """The events as they arrive, or as far as they do."""
        for number, event in enumerate(events):
            if number == sent.after:
                if sent.held is not None:
                    self._wait_for(sent.held)
                if sent.failing is not None:
                    yield api.error_event(sent.failing)
                if sent.failing is not None or sent.cut:
                    return
            if number and sent.pace:
                self._ended.wait(sent.pace)
            yield event

    def _wait_for(self, event: threading.Event) -> None:
        while not self._ended.is_set() and not event.wait(_LOOK_SECONDS):
            pass

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
