"""The dashboard as an ASGI app: its pages, what they ask, and what holds for each request.

Pages load nothing from elsewhere and run no script but their own. A change needs a session that
may make it, JSON as its content type, and a page of this very origin.
"""

import hashlib
import hmac
import logging
import mimetypes
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, cached_property
from html import escape
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_agents.dashboard import (
    approval_pages,
    cost_pages,
    guards,
    letters,
    resources,
    run_routes,
    settings_page,
    waits,
)
from workflow_agents.dashboard.asking import Ask, Refused, Row
from workflow_agents.dashboard.run_pages import RunPages
from workflow_agents.dashboard.sessions import COOKIE, LASTS_S, Session, from_cookie, to_cookie
from workflow_agents.dashboard.sign_ins import SignIns
from workflow_agents.dashboard.spending import Ledger
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import NotFound, StateError, StoreError, WorkflowAgentsError
from workflow_agents.operations.events import Asked, Stream
from workflow_agents.operations.mounting import HasCore, core_of, header
from workflow_agents.protocol.callbacks import compact_json
from workflow_agents.store.sqlite_pages import SqlitePages

logger = logging.getLogger(__name__)

Answer = Callable[[Request], Awaitable[Response]]
SignIn = Callable[[str], Session | None]
"""From a token to a session that lasts as long as it likes; None: nobody has that token."""

_STATIC = Path(__file__).with_name("static")
_PLAIN = "!*()~"
"""What encodeURIComponent leaves as it is, and `quote` does not."""
_FRESH = {"cache-control": "no-cache"}
_NOT_STORED = {"cache-control": "no-store"}
_STATUS: dict[type[WorkflowAgentsError], int] = {NotFound: 404, StateError: 409, StoreError: 503}


class Dashboard:
    """Pages of a running engine: an ASGI app, to be mounted.

    ```python
    app.mount("/runs", Dashboard(serve.engine, token="..."))
    ```

    Args:
        engine: that it shows.
        token: is asked for once; None, without `sign_in`: nobody is asked, and it answers
            requests of this machine only.
        sign_in: who may look, in place of a token.
        local: whether it answers this machine only; default: where nobody is asked.
        secret: that sessions are signed with; default: a new one.
        shown_token: that the commands on pages have; for one that everybody knows.
        server: what the server that it is of is configured with, for the page of settings.
        sample: serves a workflow for whoever has none, and tells its path; None: there is none.
    """

    def __init__(
        self,
        engine: DurableEngine | HasCore,
        *,
        token: str | None = None,
        sign_in: SignIn | None = None,
        local: bool | None = None,
        secret: bytes | None = None,
        shown_token: str | None = None,
        server: Mapping[str, Any] | None = None,
        sample: Callable[[], str] | None = None,
    ) -> None:
        self._given = engine
        self._sign_in = sign_in if token is None else _one_token(token)
        self._local = (self._sign_in is None) if local is None else local
        self._secret = secret or os.urandom(32)
        self._shown_token = shown_token
        self._server = server
        self._sample = sample
        self._sign_ins = SignIns()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        try:
            if self._local:
                guards.ensure_local(scope)
        except Refused as refused:
            await _json({"error": str(refused)}, refused.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @cached_property
    def _app(self) -> Starlette:
        # Made with the first request: an embedded engine may be given before it can be asked.
        self._engine = core_of(self._given)
        self._pages = SqlitePages(self._engine.store.all)  # type: ignore[attr-defined]
        rows = (
            *run_routes.routes(RunPages(self._engine, self._pages)),
            *letters.routes,
            *waits.routes,
            *approval_pages.routes,
            *resources.routes,
            *cost_pages.routes(Ledger(self._engine, self._pages)),
            *settings_page.routes,
        )
        return Starlette(
            routes=[
                Route("/api/session", self._guarded(self._tell_session), methods=["GET"]),
                Route("/api/session", self._guarded(self._begin_session), methods=["POST"]),
                Route("/api/session/end", self._guarded(_end_session), methods=["POST"]),
                Route("/api/stream", self._guarded(self._stream), methods=["GET"]),
                *(
                    Route(row.path, self._guarded(self._to(row)), methods=[row.method])
                    for row in rows
                ),
                Route("/api/{path:path}", self._guarded(_nothing)),
                Route("/assets/{name}", _asset),
                Route("/client.js", _client),
                Route("/{path:path}", self._page),
            ]
        )

    # Who asks.

    def _guarded(self, answer: Answer) -> Answer:
        """What goes wrong becomes an answer."""

        async def guarded(request: Request) -> Response:
            try:
                if request.method not in {"GET", "HEAD"}:
                    guards.ensure_own_page(request)
                return await answer(request)
            except Refused as refused:
                return _json({"error": str(refused)}, refused.status, refused.headers)
            except WorkflowAgentsError as error:
                status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 400)
                told = {"error": str(error.what), "code": error.code, "found": error.found}
                return _json(told, status)
            except Exception:
                # The edge of the process: told in the log, and not to whoever asked.
                logger.exception("a request failed", extra={"path": request.url.path})
                return _json({"error": "internal error"}, 500)

        return guarded

    def _to(self, row: Row) -> Answer:
        """The handler of a room behind its guards."""

        async def answer(request: Request) -> Response:
            session = self._session_of(request)
            if not row.public:
                self._ensure_may(session, request.method)
            return _json(await row.handle(self._ask(request, session)))

        return answer

    def _ask(self, request: Request, session: Session | None) -> Ask:
        return Ask(self._engine, self._pages, request, session, self._server, self._sample)

    def _ensure_may(self, session: Session | None, method: str) -> None:
        if session is None:
            raise Refused(401, "sign in")
        if method not in {"GET", "HEAD"} and not session.may_change:
            raise Refused(403, "the token may only read")

    def _session_of(self, request: Request) -> Session | None:
        now = self._engine.clock.now_ms() // 1000
        if self._sign_in is None:
            return Session("", may_change=True, until=now + LASTS_S)
        try:
            found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if found is None else from_cookie(found.value, self._secret, now)

    def _told(self, session: Session | None) -> dict[str, Any]:
        """What a page is told of who looks at it, and of the engine."""
        if session is None:
            return {"signedIn": False, "version": _version()}
        return {
            "signedIn": True,
            "version": _version(),
            "user": session.user,
            "mayChange": session.may_change,
            "asked": self._sign_in is not None,
            "serves": sorted(self._engine.workflows),
            "server": self._engine.wire.signing is not None,
            "token": self._shown_token,
            "sample": self._sample is not None,
            "seq": self._engine.store.overview.last_seq(),
        }

    async def _page(self, request: Request) -> Response:
        """Every address of a page is the same page: what it shows is read in the browser."""
        html = (_STATIC / "index.html").read_text(encoding="utf-8")
        session = self._session_of(request)
        told = compact_json(self._told(session)).decode()
        html = html.replace("{{ahead}}", "" if session is None else _ahead(request))
        html = html.replace("{{base}}", escape(_base(request)))
        html = html.replace("{{session}}", escape(told))
        return Response(html, media_type="text/html", headers=guards.HEADERS | _NOT_STORED)

    async def _tell_session(self, request: Request) -> Response:
        """Who asks, and whether pages are still as this server has them."""
        return _json(self._told(self._session_of(request)))

    async def _begin_session(self, request: Request) -> Response:
        now = self._engine.clock.now_ms()
        address = request.client.host if request.client else ""
        if wait := self._sign_ins.wait_of(address, now):
            text = f"too many tokens that nobody has; try again in {wait} s"
            raise Refused(429, text, {"Retry-After": str(wait)})
        given = await self._ask(request, None).body()
        token = given.get("token")
        session = None
        if self._sign_in is not None and isinstance(token, str):
            session = self._sign_in(token)
        if session is None:
            self._sign_ins.failed(address, now)
            raise Refused(401, "nobody has that token")
        session = session._replace(until=now // 1000 + LASTS_S)
        answer = _json(self._told(session))
        answer.set_cookie(
            COOKIE,
            to_cookie(session, self._secret),
            max_age=LASTS_S,
            path=_base(request) or "/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def _stream(self, request: Request) -> Response:
        """What happens, as it happens."""
        self._ensure_may(self._session_of(request), "GET")
        query = {name: request.query_params.getlist(name) for name in request.query_params}
        asked = Asked.of(query, header(request.scope, "last-event-id"))
        return _Told(Stream(self._engine, asked))


class _Told(Response):
    """A stream, in the place of a response."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._stream(scope, receive, send)


@cache
def _version() -> str:
    """Of what pages are made of: one that was loaded before an update is told so."""
    return hashlib.sha256((_STATIC / "app.js").read_bytes()).hexdigest()[:12]


def _one_token(token: str) -> SignIn:
    if len(token) < 16:
        from workflow_agents.core.bad_options import wrong_option

        raise wrong_option("token", "a text of 16 characters or more", "a shorter one")

    def sign_in(given: str) -> Session | None:
        same = hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
        return Session("", may_change=True, until=0) if same else None

    return sign_in


async def _end_session(request: Request) -> Response:
    answer = _json({"signedIn": False})
    answer.delete_cookie(COOKIE, path=_base(request) or "/", httponly=True, samesite="strict")
    return answer


async def _nothing(_request: Request) -> Response:
    raise Refused(404, "there is nothing here")


async def _client(_request: Request) -> Response:
    """What pages of one's own, of the same origin, follow a run with."""
    return _file(_STATIC / "client.js")


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _ahead(request: Request) -> str:
    """What the page of a run will ask is fetched while its script is."""
    kind, _, run = request.path_params["path"].partition("/")
    if kind != "runs" or not run or "/" in run:
        return ""
    to = escape(f"{_base(request)}/api/runs/{quote(run, safe=_PLAIN)}")
    return f'<link rel="preload" as="fetch" crossorigin href="{to}">\n'


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    file = _STATIC / name
    if Path(name).name != name or not file.is_file():
        return Response(status_code=404, headers=guards.HEADERS)
    return _file(file)


def _file(file: Path) -> Response:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Response(file.read_bytes(), media_type=kind, headers=guards.HEADERS | _FRESH)


def _json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        compact_json(data),
        status,
        media_type="application/json",
        headers={**guards.HEADERS, **_NOT_STORED, **(headers or {})},
    )
