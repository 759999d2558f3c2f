"""The server as a client finds it: reached, ours, of the same time, with the same keys."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from workflow_agents.certificates import tls
from workflow_agents.cli.checks.finding import Finding, fault, ok, skipped, warning
from workflow_agents.cli.running import holder_of
from workflow_agents.protocol.signature import BadSignature, SigningKeys
from workflow_agents.qstash.environment import CURRENT_KEY, NEXT_KEY

SKEW_FAULT_S, SKEW_WARNING_S = 300, 2
STREAM = "/v2/workflows/stream"
_ANSWERS_S, _DELIVERS_S, _FIRST_BYTES_S = 5.0, 5.0, 3.0


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """The server that is looked at.

    Attributes:
        url: its address.
        token: for it; None: there is none.
        is_named: somebody has named it; otherwise it is the default, which need not run.
    """

    url: str
    token: str | None
    is_named: bool

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        from workflow_agents.server.settings import is_loopback

        return is_loopback(urlsplit(self.url).hostname or "")


async def check_server(
    place: ServerPlace, environment: Mapping[str, str], now_ms: int
) -> AsyncIterator[Finding]:
    """All that can be found out from outside. Ends early where the rest depends on it."""
    import aiohttp

    parts = urlsplit(place.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        fix = "QSTASH_URL=http://127.0.0.1:8080", "unset QSTASH_URL"
        yield fault("server", "WA102", f"{place.url!r} is no http or https address", *fix)
        return
    connector = aiohttp.TCPConnector(ssl=tls() if parts.scheme == "https" else True)
    timeout = aiohttp.ClientTimeout(_ANSWERS_S)
    headers = {"authorization": f"Bearer {place.token or ''}"}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as session:
        try:
            async with session.get(f"{place.url}/v2/keys", allow_redirects=False) as answer:
                status, date = answer.status, answer.headers.get("date")
                told = await _json(answer)
        except aiohttp.ClientConnectorCertificateError as error:
            yield fault("server", "WA306", f"{place.url}: {error.certificate_error}"[:200])
            return
        except aiohttp.ClientSSLError as error:
            yield fault("server", "WA306", f"{place.url} speaks no TLS: {error}"[:200])
            return
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            yield _unreached(place, error)
            return
        except (aiohttp.ClientError, ssl.SSLError) as error:
            yield _no_server(place, f"{type(error).__name__}: {error}"[:120])
            return
        keys = _keys(told)
        if status in {401, 403}:
            yield ok("server", f"{place.url} answers")
            yield fault("token", "WA403", f"{place.url} answers {status}")
            return
        if status != 200 or keys is None:
            yield _no_server(place, f"GET /v2/keys is answered with {status}")
            return
        yield ok("server", f"{place.url} answers")
        yield ok("token", "it is taken")
        yield _clock(date, now_ms)
        yield _same_keys(keys, environment)
        for name, check in (("signature", _round_trip), ("stream", _stream)):
            try:
                yield await check(session, place, keys, now_ms)
            except (aiohttp.ClientError, TimeoutError) as error:
                told = f"{place.url} ends the connection: {type(error).__name__}"
                yield fault(name, "WA303", told)


def _unreached(place: ServerPlace, error: Exception) -> Finding:
    if not place.is_named:
        return skipped("server", "none runs here: start one with workflow-agents dev")
    told = f"{place.url} is not reached: {type(error).__name__}"
    fix = "workflow-agents dev" if place.is_local else "is it running, and is the address right?"
    return fault("server", "WA303", told, fix, "check QSTASH_URL: workflow-agents config show")


def _no_server(place: ServerPlace, told: str) -> Finding:
    port = urlsplit(place.url).port
    if place.is_local and port is not None:
        holder = holder_of(port) or "another program"
        fix = f"workflow-agents dev --port {port + 1}", "end the other process"
        return fault("port", "WA123", f"port {port}: {holder}; {told}", *fix)
    return fault("server", "WA303", f"{place.url} is no QStash server: {told}")


def _clock(date: str | None, now_ms: int) -> Finding:
    try:
        skew = abs(parsedate_to_datetime(date or "").timestamp() - now_ms / 1000)
    except (TypeError, ValueError):
        return skipped("clock", "the server does not tell its time")
    told = f"{skew:.0f} s apart"
    if skew >= SKEW_FAULT_S:
        return fault("clock", "WA126", told)
    # The header has whole seconds.
    if skew >= SKEW_WARNING_S + 1:
        return warning("clock", "WA126", told)
    return ok("clock", "the server's is the same")


def _same_keys(keys: SigningKeys, environment: Mapping[str, str]) -> Finding:
    given = [environment.get(name) for name in (CURRENT_KEY, NEXT_KEY)]
    if not any(given):
        return skipped("keys", f"{CURRENT_KEY} is not set here: an endpoint needs it")
    if keys.current in given:
        return ok("keys", "those of the environment are those of the server")
    fix = "workflow-agents keys show --reveal   # and set both in every endpoint"
    return fault("keys", "WA402", "the environment has keys of another server", fix)


async def _round_trip(session: Any, place: ServerPlace, keys: SigningKeys, now_ms: int) -> Finding:
    """A message to ourselves: delivered, and signed with the keys that the server tells."""
    if not place.is_local:
        return skipped("signature", "the server does not reach this machine")
    received: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()[1:]
            given = dict(
                line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:]
                for line in head
                if ": " in line
            )
            body = await reader.readexactly(int(given.get("content-length", "0")))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            if not received.done():
                received.set_result((given.get("upstash-signature", ""), body))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return
        finally:
            writer.close()

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/doctor"
        own = {"upstash-retries": "0", "upstash-label": "doctor"}
        async with session.post(
            f"{place.url}/v2/publish/{url}", data=b"doctor", headers=own
        ) as sent:
            if sent.status >= 300:
                told = f"a message to this machine is refused: {(await sent.text())[:100]}"
                return fault("signature", "WA304", told, "--allow-network 127.0.0.0/8")
        try:
            signature, body = await asyncio.wait_for(received, _DELIVERS_S)
        except TimeoutError:
            told = f"a message to this machine did not come within {_DELIVERS_S:.0f} s"
            fix = "workflow-agents dlq list", "is outgoing traffic to loopback allowed?"
            return fault("signature", "WA304", told, *fix)
    try:
        keys.verify(signature, body, now_s=now_ms // 1000, url=url)
    except BadSignature as error:
        return fault("signature", "WA402", f"a delivery is not signed as expected: {error}")
    return ok("signature", "a message came, signed with the server's key")


async def _stream(session: Any, place: ServerPlace, _keys: SigningKeys, _now_ms: int) -> Finding:
    """Whether the first bytes of a stream come while it goes on."""
    try:
        async with session.get(f"{place.url}{STREAM}") as answer:
            if answer.status != 200:
                return skipped("stream", "the server offers no stream of events")
            first = await asyncio.wait_for(answer.content.readany(), _FIRST_BYTES_S)
    except TimeoutError:
        told = f"nothing of an open stream came within {_FIRST_BYTES_S:.0f} s"
        return fault("stream", "WA305", told)
    return ok("stream", "events come as they happen") if first else skipped("stream", "it ended")


async def _json(answer: Any) -> Any:
    try:
        return await answer.json(content_type=None)
    except ValueError:
        return None


def _keys(told: Any) -> SigningKeys | None:
    match told:
        case {"current": str(current), "next": str(following)}:
            return SigningKeys(current, following)
        case _:
            return None
