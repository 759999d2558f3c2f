"""Connections to other machines: every address is asked for in `egress` before it is dialled.

A name is resolved once. If one of its addresses may not be called, none is. The addresses that
were checked are the ones that are dialled, with the name kept for TLS and `Host`: a name server
that changes its mind between check and call has nobody to tell. The last gate is where sockets
are made, which also sees the addresses that are written in URLs.

aiohttp is imported with this module, and this module with the first request.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from workflow_agents.engine.egress import (
    Checked,
    EgressPolicy,
    blocked,
    is_surely_here,
    refusal,
)
from workflow_agents.engine.http_out import NoAnswer
from workflow_agents.errors import RemoteError

RESOLVE_S = 5.0
_HEAD_BYTES = 32_768  # of one line of an answer's head; at most 128 lines are taken

STALE_S = 1.0
"""A connection that is closed when it is used again says so within a round trip."""

_TIMES = 4


class Trial:
    """One sending of a request, and what it took to connect.

    Attributes:
        dialled: the addresses for which it has opened a connection.
        connect_s: until it had one, in seconds.
    """

    __slots__ = ("connect_s", "dialled")

    def __init__(self) -> None:
        self.dialled: list[str] = []
        self.connect_s = 0.0


trial: ContextVar[Trial] = ContextVar("trial")
"""That of the request of this context."""

_BROKEN = (
    aiohttp.ClientOSError,
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientConnectionResetError,
)


class Refused(OSError):
    """What keeps aiohttp from dialling; `error` is for the user."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(errno.EACCES, error.what)
        self.error = error


class Disconnected(aiohttp.ClientError):
    """The connection broke before the head of an answer was there."""


def open_session(policy: EgressPolicy, connect_ms: int) -> aiohttp.ClientSession:
    """Connections that are kept, and nothing else: no cookies, no proxies, no redirects."""
    connector = _Connector(
        limit=0,
        resolver=CheckedResolver(policy),
        socket_factory=partial(_socket, policy),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        skip_auto_headers=("content-type",),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_ms / 1000),
        max_line_size=_HEAD_BYTES,
        max_field_size=_HEAD_BYTES,
    )


class _Connector(aiohttp.TCPConnector):
    """Notes how long a request has waited for its connection."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        loop = asyncio.get_running_loop()
        began = loop.time()
        connection = await super().connect(req, traces, timeout)
        trial.get().connect_s = loop.time() - began
        return connection


def url_of(checked: Checked) -> URL:
    """The URL as aiohttp takes it, which leaves it as it is."""
    host = f"[{checked.host}]" if ":" in checked.host else checked.host
    place = host if checked.port is None else f"{host}:{checked.port}"
    query = f"?{checked.query}" if checked.query else ""
    return URL(f"{checked.scheme}://{place}{checked.path}{query}", encoded=True)


async def send_again_if_stale(
    may_repeat: Callable[[], bool] | None,
    request: aiohttp.ClientRequest,
    handler: aiohttp.ClientHandlerType,
) -> aiohttp.ClientResponse:
    """Send a request; again where a kept connection turns out to be closed.

    The other side may close a connection in the moment in which it is used again. If nothing at
    all was answered, it has most likely seen nothing; if it has, the request has the same
    idempotency key each time. One that broke later has been worked on: to make another attempt
    is then the engine's decision. aiohttp would send again by method only, over new connections
    too.
    """
    loop = asyncio.get_running_loop()
    for times_left in reversed(range(_TIMES)):
        this = Trial()
        trial.set(this)
        began = loop.time()
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except _BROKEN as error:
            # In place of a text, the error has what was read of the head.
            silent = isinstance(getattr(error, "message", ""), str)
            stale = silent and not this.dialled and loop.time() - began < STALE_S
            if not stale or not times_left or not (may_repeat is None or may_repeat()):
                raise Disconnected from error
    raise AssertionError  # the last time has returned or raised


class CheckedResolver(AbstractResolver):
    """Resolves names; refuses those that lead where nothing may be called."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a name.

        Raises:
            Refused: one of them may not be called.
            OSError: there are none.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await loop.getaddrinfo(
                    host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
                )
        except TimeoutError:
            text = f"no answer of the name server within {RESOLVE_S:g} s"
            raise OSError(errno.ETIMEDOUT, text) from None
        except UnicodeError:
            raise OSError(errno.EINVAL, "not a name") from None
        results: list[ResolveResult] = []
        for family_, _type, proto, _name, address in found:
            check(str(address[0]), port, self._policy, host)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=family_,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is open."""


def check(address: str, port: int, policy: EgressPolicy, name: str) -> None:
    """Refuse an address to which a name leads.

    Raises:
        Refused: it may not be called.
    """
    parsed = ip_address(address)
    why = blocked(parsed, policy)
    if port in policy.own_ports and (is_surely_here(parsed) or _is_here(address, port)):
        why = "this engine itself listens there"
    if why is not None:
        raise Refused(refusal(f"{name}:{port}", f"{address}", why))


def _is_here(address: str, port: int) -> bool:
    """Whether an address is one of this machine's: then it is also what calls it. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, port))
            return ip_address(probe.getsockname()[0]) == ip_address(address)
    except OSError:
        return False


def _socket(policy: EgressPolicy, info: tuple[Any, ...]) -> socket.socket:
    """The socket for an address that is dialled next: nothing is dialled without it."""
    family, type_, proto, _name, address = info
    check(str(address[0]), int(address[1]), policy, str(address[0]))
    trial.get().dialled.append(str(address[0]))
    return socket.socket(family=family, type=type_, proto=proto)


def refused(error: RemoteError) -> NoAnswer:
    """There will be no answer, because nobody is asked."""
    return NoAnswer(f"{error.code} {error.what}", final=True, error=error)


def no_answer(error: Exception) -> NoAnswer:
    """Why there is no answer. aiohttp's own texts quote URLs, and with them keys."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Refused):
        return refused(error.os_error.error)
    unsent = isinstance(error, aiohttp.ClientConnectorError)
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return NoAnswer(text(error), unsent=unsent)
    return NoAnswer(type(error).__name__)


def _reason(error: Any) -> str:
    return str(error.os_error.strerror or error.os_error)[:200]


_TEXTS: tuple[tuple[type[Exception], Callable[[Any], str]], ...] = (
    (
        aiohttp.ClientConnectorCertificateError,
        lambda error: f"its certificate is not trusted: {error.certificate_error}"[:300],
    ),
    (aiohttp.ClientConnectorSSLError, lambda error: f"no TLS: {_reason(error)}"),
    (aiohttp.ClientConnectorDNSError, lambda error: f"no address is found: {_reason(error)}"),
    (aiohttp.ClientConnectorError, lambda error: f"cannot connect: {_reason(error)}"),
    (aiohttp.ConnectionTimeoutError, lambda _error: "cannot connect in time"),
    (Disconnected, lambda _error: "the connection was closed before there was an answer"),
    (aiohttp.ClientPayloadError, lambda _error: "the connection was closed within the answer"),
    (aiohttp.ClientResponseError, lambda _error: "the answer breaks the HTTP protocol"),
    (HttpProcessingError, lambda _error: "the answer breaks the HTTP protocol"),
    (aiohttp.ClientConnectionError, lambda _error: "the connection was closed"),
)
