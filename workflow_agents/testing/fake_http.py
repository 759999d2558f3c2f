"""The world that `context.call` reaches in a test: replies that the test has set, or none.

Every request of the engine is recorded. One that nothing was set for is refused and makes the
test fail, so that no test pays a provider or waits for a network by mistake. Only servers on
loopback, such as a `ScriptedModel`, are reached for real.
"""

import asyncio
import http.client
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from workflow_agents.engine.http_out import HttpRequest, HttpResponse, NoAnswer

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_JSON = {"content-type": ["application/json"]}


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as the engine sent it.

    Attributes:
        method: in capitals.
        url: with its query.
        headers: names in lower case.
        body: as it was sent.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON data; None where it is empty."""
        return json.loads(self.body) if self.body else None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def idempotency_key(self) -> str:
        """What stays the same when the engine makes the same request again."""
        return self.headers.get("idempotency-key", "")


class UnexpectedRequest(AssertionError):
    """The workflow called an address that the test has set no reply for.

    Attributes:
        requests: those that nothing was set for.
    """

    def __init__(self, requests: list[SentRequest], known: list[str]) -> None:
        first = requests[0]
        lines = ["a request was sent that no reply is set for"]
        lines += [f"  found  {r.method} {r.url}" for r in requests[:5]]
        lines += [f"  known  {', '.join(known) or 'nothing'}"]
        lines += [f'  fix    env.http.on("{first.method}", "{first.url}", {{...}})']
        super().__init__("\n".join(lines))
        self.requests = requests


def respond(
    status: int = 200,
    *,
    json: Any = None,
    text: str | bytes = "",
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A reply with a status, and JSON data or a text: `respond(503, text="come back later")`."""
    found = {name.lower(): [value] for name, value in (headers or {}).items()}
    if json is not None:
        return HttpResponse(status, _JSON | found, _encoded(json))
    body = text.encode() if isinstance(text, str) else text
    return HttpResponse(status, found, body)


def no_answer(reason: str = "connection refused") -> NoAnswer:
    """In place of a reply: the connection breaks."""
    return NoAnswer(reason)


class Route:
    """Replies to the requests of one method to one address.

    Attributes:
        method: "*" for any.
        url: the address, without query; a "*" at its end stands for anything.
        requests: those that came, in order.
    """

    def __init__(self, method: str, url: str, replies: tuple[Any, ...]) -> None:
        self.method = method.upper()
        self.url = url
        self.requests: list[SentRequest] = []
        self._replies = replies

    def matches(self, request: SentRequest) -> bool:
        """Whether it answers this request."""
        if self.method not in ("*", request.method):
            return False
        if self.url.endswith("*"):
            return request.url.startswith(self.url[:-1])
        return self.url in (request.url, request.url.partition("?")[0])

    async def reply(self, request: SentRequest) -> HttpResponse:
        """The next reply; the last one stays."""
        self.requests.append(request)
        reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
        if callable(reply):
            reply = reply(request)
            if inspect.isawaitable(reply):
                reply = await reply
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, HttpResponse) else respond(json=reply)

    @property
    def called(self) -> int:
        """How many requests came."""
        return len(self.requests)

    def __repr__(self) -> str:
        return f"{self.method} {self.url}"


class FakeHttp:
    """The world that `context.call` reaches in a test: replies that the test has set.

    Attributes:
        requests: all that were sent, in order.
        unexpected: those of them that nothing was set for.
    """

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []
        self.unexpected: list[SentRequest] = []
        self.watch: Callable[[SentRequest], None] | None = None
        self.on_loopback: Loopback = send_on_loopback
        self._routes: list[Route] = []
        self._led: dict[str, str] = {}

    def on(self, method: str, url: str, *replies: Any) -> Route:
        """Answer requests to this address.

        Args:
            method: "GET", "POST", ... or "*".
            url: without query it fits every query; with "*" at its end, all that begins so.
            replies: in their order, and the last one for all that follow: JSON data, what
                `respond` or `no_answer` made, or a function of the `SentRequest` that returns
                either.

        Returns:
            The route, which records its requests. A later route goes before an earlier one.
        """
        route = Route(method, url, replies or (None,))
        self._routes.insert(0, route)
        return route

    def lead(self, url: str, to: str) -> None:
        """Send what goes to addresses that begin with `url` to a server on loopback."""
        self._led[url.rstrip("/")] = to.rstrip("/")

    def check(self) -> None:
        """Fail if a request came that nothing was set for.

        Raises:
            UnexpectedRequest: once for each of them.
        """
        if self.unexpected:
            found, self.unexpected = self.unexpected, []
            raise UnexpectedRequest(found, [repr(route) for route in self._routes])

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpOut.send`."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent = SentRequest(request.method, request.url, headers, request.body)
        self.requests.append(sent)
        if self.watch is not None:
            self.watch(sent)
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                return await self._answer(sent)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {request.timeout_ms / 1000:g} s") from error

    async def close(self) -> None:
        """See `HttpOut.close`."""

    async def _answer(self, sent: SentRequest) -> HttpResponse:
        for route in self._routes:
            if route.matches(sent):
                return await route.reply(sent)
        url = self._address(sent.url)
        if urlsplit(url).hostname in _LOOPBACK:
            return await self.on_loopback(sent, url)
        self.unexpected.append(sent)
        raise NoAnswer(f"this test has set no reply for {sent.method} {sent.url}", final=True)

    def _address(self, url: str) -> str:
        for origin, to in self._led.items():
            if url.startswith(origin):
                return to + url[len(origin) :]
        return url


Loopback = Callable[[SentRequest, str], Any]


async def send_on_loopback(request: SentRequest, url: str) -> HttpResponse:
    """Send for real, in a thread; on a virtual loop that is here and now."""
    return await asyncio.to_thread(_exchange, request, url)


def _exchange(request: SentRequest, url: str) -> HttpResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "content-length")}
        connection.request(request.method, target, request.body, headers)
        answer = connection.getresponse()
        found: dict[str, list[str]] = {}
        for name, value in answer.getheaders():
            found.setdefault(name.lower(), []).append(value)
        return HttpResponse(answer.status, found, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _encoded(data: Any) -> bytes:
    return json.dumps(data).encode()
