"""`workflow-agents server`: a server that others use, with credentials of its own."""

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace

from workflow_agents import config
from workflow_agents.cli import output, running
from workflow_agents.cli.screen import Screen
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.dashboard import PATH as DASHBOARD
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.qstash.environment import CURRENT_KEY, NEXT_KEY, TOKEN, URL
from workflow_agents.server.settings import (
    WELL_KNOWN_DIGESTS,
    WELL_KNOWN_KEYS,
    Account,
    Scope,
    ServerSettings,
    digest_of,
    make_token,
    user_of,
)

_USER = "defaultUser"
_LEAST_KEY = 24
_PRINTED = "expected a secret, found one that the documentation of QStash prints"


@dataclass(frozen=True, slots=True)
class Serving:
    """What was asked for; the options of the command."""

    store: str
    host: str
    port: int
    allow_networks: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    rate: float | None = None
    retention: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """The credentials of the environment; None: they are to be made, once."""

    token: str | None = None
    read_token: str | None = None
    keys: SigningKeys | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Given":
        """Read them.

        Raises:
            ConfigurationError: WA102, one cannot be used; WA122, everybody knows one.
        """
        token = environment.get("QSTASH_TOKEN") or None
        read_token = environment.get("QSTASH_READONLY_TOKEN") or None
        if token is not None and user_of(token) is None:
            raise wrong_option(
                "QSTASH_TOKEN", 'base64 of {"UserID": ..., "Password": ...}', "other text"
            )
        for one in (token, read_token):
            if one is not None and digest_of(one) in WELL_KNOWN_DIGESTS:
                raise ConfigurationError("WA122", where="QSTASH_TOKEN", found=_PRINTED)
        return cls(token, read_token, _keys_of(environment))


def _keys_of(environment: Mapping[str, str]) -> SigningKeys | None:
    names = ("QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")
    current, following = (environment.get(name) or "" for name in names)
    if not current and not following:
        return None
    for name, key in zip(names, (current, following), strict=True):
        if key in WELL_KNOWN_KEYS:
            raise ConfigurationError("WA122", where=name, found=_PRINTED)
        if len(key) < _LEAST_KEY:
            raise wrong_option(
                name,
                f"at least {_LEAST_KEY} characters, beside the other key",
                f"{len(key)} of them",
            )
    return SigningKeys(current, following)


def run(asked: Serving) -> None:
    """Serve until asked to end.

    Raises:
        ConfigurationError: WA122, credentials that everybody knows; WA123, the port is taken;
            WA102.
        StoreError: the store cannot be used.
    """
    given = Given.of(config.environment())
    path = running.store_path_of(asked.store)
    if path == ":memory:":
        raise wrong_option("--store", "a file, which outlives the process", path)
    running.run(_serve(asked, given, path, running.listen(asked.host, asked.port)))


async def _serve(asked: Serving, given: Given, path: str, listener: socket.socket) -> None:
    settings = ServerSettings(
        host=asked.host,
        port=listener.getsockname()[1],
        hosts=asked.hosts,
        allow_networks=asked.allow_networks,
        rate=asked.rate,
    )
    ended = running.signalled()
    async with running.engine_on(path, settings, asked.retention) as engine:
        keys_are_new = given.keys is None and not engine.wire.credentials.has_keys
        keys = await engine.wire.credentials.load_keys(given.keys)
        account, made = await account_of(engine, given.token)
        settings = replace(settings, accounts=(account, *_readers(given)))
        shown: dict[str, str] = {}
        if made is not None:
            shown |= {URL: settings.url, TOKEN: made}
        if keys_are_new:
            shown |= {CURRENT_KEY: keys.current, NEXT_KEY: keys.following}
        _show(settings.url, path, shown, as_json=asked.as_json)
        await running.serve(engine, settings, listener, ended)


def _show(url: str, path: str, made: Mapping[str, str], *, as_json: bool) -> None:
    """Where it is, and the credentials that were made just now."""
    if as_json:
        output.show_json_line({"event": "ready", "server": url, "store": path, "made": made})
        return
    screen = Screen()
    screen.line()
    screen.row("server", f"running at {url}")
    screen.row("dashboard", f"{url}{DASHBOARD}")
    screen.row("data", path)
    if made:
        screen.line()
        screen.line("  made for this store, and shown this once; keep them:")
        screen.variables(made)


def _readers(given: Given) -> tuple[Account, ...]:
    if given.read_token is None:
        return ()
    return (Account("reader", digest_of(given.read_token), Scope.READ),)


async def account_of(engine: DurableEngine, token: str | None) -> tuple[Account, str | None]:
    """Whom the server lets in, and the token if it was made just now.

    Args:
        engine: knows a token that was made before by its hash.
        token: of the environment; it counts alone.
    """
    if token is not None:
        return Account(user_of(token) or _USER, digest_of(token)), None
    known = engine.wire.credentials.token()
    if known is not None:
        return Account(*known), None
    made = make_token(_USER, secrets.token_urlsafe(32))
    digest = digest_of(made)
    await engine.wire.credentials.keep_token(_USER, digest)
    return Account(_USER, digest), made
