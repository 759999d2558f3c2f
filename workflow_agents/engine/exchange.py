"""One request over aiohttp: what is sent of it, how its answer is read, and within which bounds.

Time, size and headers are bounded. No redirects are followed, no cookies kept, no proxies asked.
"""

import asyncio
import io
import re
from collections.abc import Callable
from functools import lru_cache, partial

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from workflow_agents.certificates import tls
from workflow_agents.engine.decoding import ACCEPTED, BrokenEncoding, Decoder
from workflow_agents.engine.dialing import (
    Trial,
    no_answer,
    open_session,
    refused,
    send_again_if_stale,
    trial,
    url_of,
)
from workflow_agents.engine.egress import OPEN, EgressPolicy, checked_url
from workflow_agents.engine.http_out import (
    BodyReader,
    HttpRequest,
    HttpResponse,
    NoAnswer,
    Timing,
)
from workflow_agents.errors import RemoteError

_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to a connection and not to what is asked over it; so does `Proxy-*`."""

_USUAL = {"accept": "*/*", "accept-encoding": ACCEPTED, "user-agent": "workflow-agents"}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError)

_STREAM_TIMES = 50
"""A stream wraps each word in JSON: so much larger than the reply it may be."""

_LINGER_S = 1.0
"""How long the end of a body is waited for when what it says is known."""

_AT_ONCE_BYTES = 2**20
"""A body over this is written in parts, between which others have their turn."""


class Exchange:
    """Sends requests over connections of its own; see `AiohttpOut` for the arguments."""

    def __init__(self, max_bytes: int, policy: EgressPolicy | None, connect_ms: int) -> None:
        self._max_bytes = max_bytes
        self._session = open_session(policy or OPEN, connect_ms)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `HttpOut.send`."""
        try:
            url = url_of(checked_url(request.url))
        except RemoteError as error:
            raise refused(error) from None
        headers = _headers(request)
        body = request.body if len(request.body) <= _AT_ONCE_BYTES else io.BytesIO(request.body)
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                answer = await self._session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    middlewares=(partial(send_again_if_stale, request.may_repeat),),
                    ssl=tls() if url.scheme == "https" else True,
                )
                headed = now()
                try:
                    found, received = await self._receive(answer, request.reader)
                    timing = _timing(trial.get(), headed - began, now() - headed)
                    return HttpResponse(answer.status, found, received, timing)
                finally:
                    # Only what was read to its end is used again.
                    if not answer.closed:
                        answer.close()
        except TimeoutError as error:
            if isinstance(error, aiohttp.ClientError):
                raise no_answer(error) from error
            raise NoAnswer(f"no answer within {request.timeout_ms / 1000:g} s") from error
        except BrokenEncoding as error:
            raise NoAnswer(str(error), final=error.final) from error
        except _FAILURES as error:
            raise no_answer(error) from error

    async def _receive(
        self, answer: aiohttp.ClientResponse, reader: BodyReader | None
    ) -> tuple[dict[str, list[str]], bytes]:
        """Its headers and its body, unless that was given to the reader."""
        found: dict[str, list[str]] = {}
        for name, value in answer.raw_headers:
            found.setdefault(_text(name).lower(), []).append(_text(value))
        if reader is not None and reader.begins(answer.status, found):
            await self._feed(answer, found, reader)
            return found, b""
        parts: list[bytes] = []
        await _read(answer, found, self._max_bytes, parts.append)
        return found, b"".join(parts)

    async def _feed(
        self, answer: aiohttp.ClientResponse, found: dict[str, list[str]], reader: BodyReader
    ) -> None:
        """Hand on a stream. What comes behind its end is not worth failing for."""
        known = False
        patience = asyncio.timeout(None)

        def take(part: bytes) -> None:
            nonlocal known
            if not known and reader.feed(part):
                known = True
                patience.reschedule(asyncio.get_running_loop().time() + _LINGER_S)

        try:
            async with patience:
                await _read(answer, found, self._max_bytes * _STREAM_TIMES, take)
        except (TimeoutError, BrokenEncoding, *_FAILURES):
            if not known:
                raise

    async def close(self) -> None:
        """See `HttpOut.close`."""
        await self._session.close()


async def _read(
    answer: aiohttp.ClientResponse,
    found: dict[str, list[str]],
    max_bytes: int,
    take: Callable[[bytes], None],
) -> None:
    """Read the body, and hand it on while it comes."""
    decoder = Decoder(found.get("content-encoding", ()), max_bytes)
    async for received in answer.content.iter_any():
        for part in decoder.feed(received):
            take(part)
        if decoder.over:
            raise NoAnswer(f"the answer is over the limit of {max_bytes:,} bytes", final=True)
    decoder.end()


def _timing(this: Trial, head_s: float, body_s: float) -> Timing:
    first = round((head_s - this.connect_s) * 1000)
    connect = round(this.connect_s * 1000) if this.dialled else None
    return Timing(connect, max(0, first), round(body_s * 1000))


def _headers(request: HttpRequest) -> dict[str, str]:
    """What is sent of the headers.

    Raises:
        NoAnswer: they cannot be sent. The text does not quote them: they may hold a key.
    """
    sent: dict[str, str] = {}
    named: set[str] = set()
    dropped: frozenset[str] = frozenset()
    for name, value in request.headers.items():
        lower = _lower(name)
        if lower is None or not _is_sendable(value):
            raise NoAnswer("a header of the request breaks the HTTP protocol", final=True)
        if lower == "connection":
            dropped |= {one.strip().lower() for one in value.split(",")}
        if lower not in _OF_THE_CONNECTION and not lower.startswith("proxy-"):
            sent[name] = value
            named.add(lower)
    if _lower(request.method) is None:
        raise NoAnswer("the method of the request breaks the HTTP protocol", final=True)
    if dropped:
        sent = {name: value for name, value in sent.items() if name.lower() not in dropped}
        named -= dropped
    for name, value in _USUAL.items():
        if name not in named:
            sent[name] = value
    return sent


@lru_cache(4096)
def _lower(name: str) -> str | None:
    """A name in lower case; None: it is none that HTTP allows."""
    return None if _TOKEN.fullmatch(name) is None else name.lower()


def _is_sendable(value: str) -> bool:
    if value.isascii() and value.isprintable():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return _CONTROL.search(value) is None


def _text(received: bytes) -> str:
    """A header as text: nobody has to say in which encoding it is written."""
    try:
        text = received.decode()
    except UnicodeDecodeError:
        text = received.decode("latin-1")
    return text if text.isprintable() else _CONTROL.sub("", text)
