"""The dashboard as an ASGI app: its pages, what they ask, and what holds for each request.

Pages load nothing from elsewhere and run no script but their own. A change needs a session that
may make it, JSON as its content type, and a page of this very origin.
"""

import json
import logging
import mimetypes
import os
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_agents.dashboard.run_pages import STATES, RunPages
from workflow_agents.dashboard.sessions import COOKIE, LASTS_S, Session, from_cookie, to_cookie
from workflow_agents.errors import NotFound, StoreError, WorkflowAgentsError
from workflow_agents.protocol.callbacks import compact_json
from workflow_agents.store.sqlite_pages import RunsWanted

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

Answer = Callable[[Request], Awaitable[Response]]
SignIn = Callable[[str], Session | None]
"""From a token to a session that lasts as long as it likes; None: nobody has that token."""

_STATIC = Path(__file__).with_name("static")
_MOST_BYTES = 2**20
_GUARDS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Refused(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Dashboard:
    """Pages of a running engine: an ASGI app, to be mounted.

    Args:
        engine: that it shows.
        sign_in: who may look; None: everybody who reaches it may look and make changes.
        secret: that sessions are signed with; default: a new one.
    """

    def __init__(
        self,
        engine: "DurableEngine",
        sign_in: SignIn | None = None,
        *,
        secret: bytes | None = None,
    ) -> None:
        self._engine = engine
        self._sign_in = sign_in
        self._secret = secret or os.urandom(32)
        self._runs = RunPages(engine)
        self._app = Starlette(
            routes=[
                Route("/api/session", self._to(self._session, public=True)),
                Route("/api/session", self._to(self._begin_session, public=True), methods=["POST"]),
                Route("/api/runs", self._to(self._list)),
                Route("/api/overview", self._to(self._overview)),
                Route("/api/runs/{run_id}", self._to(self._run)),
                Route("/api/runs/{run_id}/steps/{step:path}", self._to(self._step)),
                Route("/api/runs/{run_id}/cancel", self._to(self._cancel), methods=["POST"]),
                Route("/api/runs/{run_id}/fork", self._to(self._fork), methods=["POST"]),
                Route("/assets/{name}", self._asset),
                Route("/{path:path}", self._page),
            ]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    # Pages.

    async def _page(self, request: Request) -> Response:
        """Every address of a page is the same page: what it shows is read in the browser."""
        base = request.scope.get("root_path", "").rstrip("/")
        html = (_STATIC / "index.html").read_text(encoding="utf-8").replace("{{base}}", base)
        return Response(html, media_type="text/html", headers=_GUARDS | _FRESH)

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        file = _STATIC / name
        if Path(name).name != name or not file.is_file():
            return Response(status_code=404, headers=_GUARDS)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(file.read_bytes(), media_type=kind, headers=_GUARDS | _FRESH)

    # Who asks.

    def _to(self, handle: Answer, *, public: bool = False) -> Answer:
        """The handler behind its guards."""

        async def guarded(request: Request) -> Response:
            try:
                if request.method != "GET":
                    _ensure_own_page(request)
                if not public:
                    session = self._session_of(request)
                    if session is None:
                        raise Refused(401, "sign in")
                    if request.method != "GET" and not session.may_change:
                        raise Refused(403, "the token may only read")
                return await handle(request)
            except Refused as refused:
                return _json({"error": str(refused)}, refused.status)
            except WorkflowAgentsError as error:
                status = _STATUS.get(type(error), 400)
                return _json({"error": str(error.what), "code": error.code}, status)
            except Exception:
                logger.exception("a request failed", extra={"path": request.url.path})
                return _json({"error": "internal error"}, 500)

        return guarded

    def _session_of(self, request: Request) -> Session | None:
        now = self._now_s()
        if self._sign_in is None:
            return Session("", may_change=True, until=now + LASTS_S)
        try:
            found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if found is None else from_cookie(found.value, self._secret, now)

    def _now_s(self) -> int:
        return self._engine.clock.now_ms() // 1000

    async def _session(self, request: Request) -> Response:
        session = self._session_of(request)
        if session is None:
            return _json({"signedIn": False})
        return _json({"signedIn": True, "user": session.user, "mayChange": session.may_change})

    async def _begin_session(self, request: Request) -> Response:
        given = await _body(request)
        token = given.get("token")
        session = None
        if self._sign_in is not None and isinstance(token, str):
            session = self._sign_in(token)
        if session is None:
            raise Refused(401, "nobody has that token")
        session = session._replace(until=self._now_s() + LASTS_S)
        answer = _json({"signedIn": True, "user": session.user, "mayChange": session.may_change})
        answer.set_cookie(
            COOKIE,
            to_cookie(session, self._secret),
            max_age=LASTS_S,
            path=request.scope.get("root_path", "") or "/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    # What the pages ask.

    async def _overview(self, _request: Request) -> Response:
        return _json({"counts": self._runs.counts(), "workflows": self._runs.workflows()})

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        states = [state for state in asked.getlist("state") if state]
        if unknown := {*states} - {*STATES}:
            raise Refused(400, f"expected a state of {', '.join(STATES)}, found {min(unknown)!r}")
        before = asked.get("before")
        if before is not None and not before.isdecimal():
            raise Refused(400, "expected the place of a run as before")
        wanted = RunsWanted(
            tuple(phase for state in states for phase in STATES[state]),
            asked.get("workflow") or None,
            asked.get("label") or None,
            asked.get("find") or None,
            None if before is None else int(before),
        )
        return _json(self._runs.page(wanted))

    async def _run(self, request: Request) -> Response:
        return _json(self._runs.run(request.path_params["run_id"]))

    async def _step(self, request: Request) -> Response:
        return _json(self._runs.step(request.path_params["run_id"], request.path_params["step"]))

    async def _cancel(self, request: Request) -> Response:
        return _json({"done": await self._engine.admin.cancel(request.path_params["run_id"])})

    async def _fork(self, request: Request) -> Response:
        """Run it again: from the start, or from a step on; with another input, or as it was."""
        from workflow_agents.core.options import RunOptions
        from workflow_agents.protocol.codec import encode

        given = await _body(request)
        made = await self._engine.admin.fork(
            request.path_params["run_id"],
            RunOptions(),
            step=given.get("step"),
            body=encode(given["payload"]) if "payload" in given else None,
            result=encode(given["result"]) if "result" in given else None,
        )
        return _json({"runId": made.run_id})


_FRESH = {"cache-control": "no-cache"}
_STATUS: dict[type[WorkflowAgentsError], int] = {NotFound: 404, StoreError: 503}


def _ensure_own_page(request: Request) -> None:
    """Refuse a change that another site's page asks for.

    JSON as content type cannot be sent across origins without being asked for first; what a
    browser says of the origin is looked at besides.

    Raises:
        Refused: it is one.
    """
    from workflow_agents.server.auth import FOREIGN_PAGE, is_foreign_page

    if is_foreign_page(request.method, request.headers):
        raise Refused(403, FOREIGN_PAGE)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "expected application/json")


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > _MOST_BYTES:
            raise Refused(413, f"expected at most {_MOST_BYTES} bytes")
    try:
        found = json.loads(data)
    except ValueError:
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "expected an object")
    return cast("dict[str, Any]", found)


def _json(data: Any, status: int = 200) -> Response:
    return Response(
        compact_json(data),
        status,
        media_type="application/json",
        headers=_GUARDS | {"cache-control": "no-store"},
    )
