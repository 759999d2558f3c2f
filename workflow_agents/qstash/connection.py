"""The connection to a QStash server: one request, one answer, another try where none came.

What is asked is built in `qstash.requests`; nothing of the protocol's meaning is known here.
"""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_agents import config
from workflow_agents.certificates import tls
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import ConfigurationError, RemoteError
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.dev_credentials import DEV_TOKEN
from workflow_agents.protocol.secrets import Secret
from workflow_agents.qstash.environment import TOKEN, URL, dev_port, server_variables

if TYPE_CHECKING:
    from workflow_agents.qstash.checkpoint_channel import Channel
    from workflow_agents.qstash.checkpoints import Lines
    from workflow_agents.qstash.dev_server import DevServer

DEFAULT_URL = "https://qstash.upstash.io"
"""Source: protocol 9."""

_RETRIES = 5
_TIMEOUT_S = 60


class ServerRequest(NamedTuple):
    """What is asked of a server; `path` begins with /v2 and may hold a query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Connection:
    """To one QStash server, under one token.

    Args:
        token: of the server.
        base_url: of the server.
        retries: of a request to which no answer came.
        dev: is started before the first request, where nobody answers.

    Raises:
        ConfigurationError: WA106, there is no token.
    """

    def __init__(
        self,
        token: str,
        base_url: str | None = None,
        *,
        retries: int = _RETRIES,
        dev: "DevServer | None" = None,
    ) -> None:
        if not isinstance(token, str) or not token:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise ConfigurationError("WA106", found=f"expected a token, found {token!r}"[:80])
        base_url = base_url or DEFAULT_URL
        if not base_url.startswith(("http://", "https://")):
            raise wrong_option("base_url", "an http or https address", base_url)
        self.token = token
        self.base_url = base_url.rstrip("/")
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: Lines | None = None
        self._retries = retries
        self._dev = dev

    async def send(self, request: ServerRequest) -> Any:
        """Ask, and return the JSON that is answered; None where the answer is no JSON.

        Raises:
            RemoteError: WA303; `status` is the server's, 0 where no answer came.
        """
        try:
            return decode(await self.fetch(request))
        except Undecodable:
            return None

    async def fetch(self, request: ServerRequest) -> bytes:
        """Ask, and return the body that is answered.

        Raises:
            RemoteError: WA303, as `send`.
        """
        status, body = await self._exchange(request)
        if not 200 <= status < 300:
            text = body.decode("utf-8", "replace")[:500]
            raise _answered(status, text, f"{request.method} {request.path.partition('?')[0]}")
        return body

    async def _exchange(self, request: ServerRequest) -> tuple[int, bytes]:
        import aiohttp
        from yarl import URL

        session = self._open()
        headers = {"authorization": f"Bearer {self.token}", **request.headers}
        # As it is written: parts of a path are encoded by whoever knows what they are.
        url = URL(self.base_url + request.path, encoded=True)
        for attempt in range(1 + self._retries):
            if self._dev is not None:
                await self._dev.ready()
            try:
                async with session.request(
                    request.method, url, headers=headers, data=request.body, allow_redirects=False
                ) as answer:
                    return answer.status, await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                if self._dev is not None:
                    self._dev.lost()
                if attempt == self._retries:
                    raise self._unreached(error) from error
                # Source: protocol 6.1.
                await asyncio.sleep(0.05 * math.exp(attempt))
        raise AssertionError("unreachable")

    async def stream(self, path: str, silence_s: float) -> AsyncIterator[bytes]:
        """Ask, and return the body as it comes.

        Args:
            path: with a query.
            silence_s: how long nothing may come.

        Raises:
            RemoteError: WA303, as `fetch`; also where it breaks off.
        """
        import aiohttp
        from yarl import URL

        headers = {"authorization": f"Bearer {self.token}", "accept": "text/event-stream"}
        url = URL(self.base_url + path, encoded=True)
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_s)
        try:
            async with self._open().get(
                url, headers=headers, timeout=patience, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:
                    text = (await answer.text(errors="replace"))[:500]
                    raise _answered(answer.status, text, f"GET {path.partition('?')[0]}")
                async for part in answer.content.iter_any():
                    yield part
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> RemoteError:
        return RemoteError(
            "WA303",
            "the QStash server cannot be reached",
            where=self.base_url,
            found=f"{type(error).__name__}: {error}"[:300],
        )

    def _open(self) -> Any:
        """The HTTP client of the loop that runs; connections belong to their loop."""
        import aiohttp

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=tls() if self.base_url.startswith("https") else True
                ),
                timeout=aiohttp.ClientTimeout(_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("content-type",),
            )
        return self._client

    async def open_channel(self, path: str) -> "Channel | None":
        """A request that goes on; None: there is none to be had."""
        from workflow_agents.qstash.checkpoint_channel import Channel

        headers = {"authorization": f"Bearer {self.token}"}
        return await Channel.open(self._open(), self.base_url + path, headers)

    def lines(self) -> "Lines":
        """By which our own server is told of the runs that are in hand on this loop."""
        from workflow_agents.qstash.checkpoints import Lines

        if self._lines is None or not self._lines.is_of_this_loop:
            self._lines = Lines(self)
        return self._lines

    async def close(self) -> None:
        """Close its connections; they open again with the next request."""
        if self._lines is not None and self._lines.is_of_this_loop:
            lines, self._lines = self._lines, None
            await lines.close()
        if self._client is not None and self._loop is asyncio.get_running_loop():
            client, self._client = self._client, None
            await client.close()


def _answered(status: int, text: str, where: str) -> RemoteError:
    return RemoteError(
        "WA303",
        f"the QStash server answered {status}",
        status=status,
        body=text,
        where=where[:200],
        found=f"expected a 2xx status, found {status}: {text}",
    )


def plain_headers(headers: Mapping[str, str | Secret]) -> dict[str, str]:
    """Header values as they are sent: a server cannot look up a secret of this process.

    Raises:
        ConfigurationError: WA109, a secret names a variable that is not set.
    """
    plain: dict[str, str] = {}
    for name, value in headers.items():
        if isinstance(value, Secret):
            found = config.variable(value.env)
            if found is None:
                raise ConfigurationError(
                    "WA109", where=f"header {name!r}", found=f"{value.env} is not set"
                )
            value = value.prefix + found
        plain[name] = value
    return plain


def new_id(length: int) -> str:
    """Random characters of `[A-Za-z0-9_-]`."""
    return secrets.token_urlsafe(length)[:length]


def connection_of(client: Any) -> Connection:
    """The connection that a client of the `qstash` package has, or one of ours as it is.

    Raises:
        ConfigurationError: WA102, it is neither.
    """
    if isinstance(client, Connection):
        return client
    http = getattr(client, "http", None)
    token, base_url = getattr(http, "_token", None), getattr(http, "_base_url", None)
    if not isinstance(token, str) or not isinstance(base_url, str):
        raise wrong_option("qstash_client", "a qstash.QStash or qstash.AsyncQStash", client)
    return Connection(token.removeprefix("Bearer "), base_url)


def connection_from(env: Any = None) -> Connection | None:
    """The connection that the environment asks for; None: it asks for none.

    See `qstash.environment` for the variables.

    Args:
        env: in place of the environment.

    Raises:
        ConfigurationError: WA106, there is an address and no token; WA102.
    """
    variables = config.environment() if env is None else env
    if (port := dev_port(variables)) is not None:
        from workflow_agents.qstash.dev_server import DevServer

        server = DevServer(port)
        return Connection(DEV_TOKEN, server.url, dev=server)
    told = server_variables(variables)
    if token := told.get(TOKEN):
        return Connection(token, told.get(URL))
    if URL in told:
        raise ConfigurationError("WA106", found="QSTASH_URL is set, and QSTASH_TOKEN is not")
    return None
