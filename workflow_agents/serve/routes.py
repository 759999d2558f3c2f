"""Workflows as routes: the options, and what every framework does with a request; knows none.

An adapter turns its framework's request into a `Request`, asks here, and answers with the
`Response`. Its own are only how a route is added and when the engine starts.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, TypedDict
from urllib.parse import urlsplit

from workflow_agents import config
from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.core.checks import checked_size
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.errors import ConfigurationError, WorkflowAgentsError
from workflow_agents.serve.endpoint import Request, Response, failed, start_run
from workflow_agents.serve.hand_over import hand_over
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import FailureFunction, ServedFunction

HOOK_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
"""A webhook takes each of these at /v2/workflows/hooks/{user}/{run_id}/{event_id}."""


class RouteOptions(TypedDict, total=False):
    """What a route may be told; the first ten are those of `Engine.add`.

    Attributes:
        retries: how often steps and the function are tried again; default 3.
        retry_delay: an expression in milliseconds.
        flow_control: a key whose limits its runs wait for.
        label: of its runs.
        failure_function: called with (context, status, response, headers).
        failure_url: is sent a POST instead.
        schema: a type that the payload must fit.
        initial_payload_parser: makes the payload of the body's text.
        env: what `context.env` is.
        redact: what logs do not show.
        receiver: a `qstash.Receiver`; requests that are not signed are refused.
        url: what `context.url` is; default: the request's.
        base_url: replaces the origin of `context.url`.
    """

    retries: int | None
    retry_delay: str | None
    flow_control: FlowControl | None
    label: str | None
    failure_function: FailureFunction | None
    failure_url: str | None
    schema: Any
    initial_payload_parser: Callable[[str], Any] | None
    env: Mapping[str, str | None] | None
    redact: Mapping[str, Any] | None
    receiver: Any
    url: str | None
    base_url: str | None


class Route:
    """A workflow behind a path.

    Args:
        engine: runs it.
        path: of the route; stored runs find their code by it.
        function: the workflow function.
        options: see `RouteOptions`.

    Attributes:
        workflow: what is served.

    Raises:
        ConfigurationError: an option cannot be used.
    """

    def __init__(
        self, engine: Engine, path: str, function: ServedFunction, options: RouteOptions
    ) -> None:
        given: dict[str, Any] = {**options}
        self._receiver: Any = given.pop("receiver", None)
        self._url: str | None = given.pop("url", None)
        self._base_url: str | None = given.pop("base_url", None)
        self._engine = engine
        self.workflow = engine.add(path, function, **given)

    async def answer(self, request: Request) -> Response:
        """Start a run with the request's body as its payload."""
        parts = urlsplit(request.url)
        self._engine.seen_at(f"{parts.scheme}://{parts.netloc}")
        url = self._url or _rebased(request.url, self._base_url)
        seen = Request(url, request.headers, request.body)
        started = start_run(self._engine, self.workflow, seen, self._receiver)
        return await hand_over(started, self._engine.loop)


async def receive_webhook(engine: Engine, run_id: str, event_id: str, request: Request) -> Response:
    """Hand a request to the run whose webhook it is for.

    Source: protocol 4.7.
    """
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(name.lower(), []).append(value)
    parts = urlsplit(request.url)
    body = b"" if request.method in {"GET", "HEAD"} else request.body
    told = {
        "method": request.method,
        "header": headers,
        "body": base64.b64encode(body).decode(),
        "proto": parts.scheme,
        "host": parts.netloc,
        "url": parts.path + (f"?{parts.query}" if parts.query else ""),
    }
    try:
        await hand_over(engine.receive_webhook(run_id, event_id, told), engine.loop)
    except WorkflowAgentsError as error:
        return failed(error)
    return Response(200, {})


def too_large(engine: Engine, content_length: str | None) -> Response | None:
    """The answer to a body that says it is over the limit, which is then not read."""
    if content_length is None or not content_length.isdigit():
        return None
    try:
        checked_size(int(content_length), engine.limits.payload_bytes, "body of the request")
    except WorkflowAgentsError as error:
        return failed(error)
    return None


def embedded_engine(engine: Engine | None, store: str | None) -> Engine:
    """The engine of an app: the one that it is given, or one with default options.

    Raises:
        ConfigurationError: WA106, the environment asks for a QStash server.
    """
    if hosted := config.hosted_variables():
        raise ConfigurationError("WA106", found=f"{', '.join(hosted)} is set")
    return engine or Engine(store)


def check_route(path: object, options: Mapping[str, Any], where: str) -> None:
    """Refuse, before there is a function, what no route can be told.

    Raises:
        ConfigurationError: WA101, WA102 or WA106.
    """
    if "qstash_client" in options:
        raise ConfigurationError(
            "WA106",
            where="option 'qstash_client'",
            found="a QStash client was given",
            fix=("leave qstash_client out to run on the embedded engine",),
        )
    for name in options:
        if name not in RouteOptions.__annotations__:
            raise unknown_option(name, RouteOptions.__annotations__, where)
    if not isinstance(path, str) or not path.startswith("/"):
        raise wrong_option("path", "text that begins with '/'", path)
    receiver = options.get("receiver")
    if receiver is not None and not callable(getattr(receiver, "verify", None)):
        raise wrong_option("receiver", "a qstash.Receiver", receiver)


def _rebased(url: str, base_url: str | None) -> str:
    base_url = base_url or config.public_url()
    if not base_url:
        return url
    path = url.split("://", 1)[-1].partition("/")[2]
    return f"{base_url.rstrip('/')}/{path}"
