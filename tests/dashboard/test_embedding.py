"""The dashboard in an app of one's own: where it is, and whom it answers."""

import contextlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from workflow_agents import ConfigurationError
from workflow_agents.dashboard.site import Dashboard
from workflow_agents.fastapi import Serve
from workflow_agents.starlette import Serve as StarletteServe


@contextlib.asynccontextmanager
async def asking(app: FastAPI, client: tuple[str, int] = ("127.0.0.1", 1)) -> Any:
    transport = httpx2.ASGITransport(app, client=client)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http,
    ):
        yield http


async def test_an_app_has_no_dashboard_unless_it_asks_for_one(tmp_path: Path) -> None:
    app = FastAPI()
    Serve(app, store=str(tmp_path / "a.db"))
    async with asking(app) as http:
        assert (await http.get("/workflow-agents/")).status_code == 404


async def test_embedded_it_answers_this_machine_only(tmp_path: Path) -> None:
    app = FastAPI()
    Serve(app, store=str(tmp_path / "a.db"), dashboard=True)
    async with asking(app) as http:
        page = await http.get("/workflow-agents/")
        assert 'data-base="/workflow-agents"' in page.text
        assert (await http.get("/workflow-agents/api/overview")).status_code == 200
        for name, value, status in (
            ("host", "evil.test", 421),
            ("host", "127.0.0.1.evil.test", 421),
            ("x-forwarded-for", "10.0.0.1", 403),
        ):
            answer = await http.get("/workflow-agents/api/overview", headers={name: value})
            assert answer.status_code == status, value
    async with asking(app, ("10.0.0.7", 1)) as http:
        assert (await http.get("/workflow-agents/api/overview")).status_code == 403


async def test_embedded_with_a_token_it_answers_whoever_has_it(tmp_path: Path) -> None:
    app = FastAPI()
    Serve(app, store=str(tmp_path / "a.db"), dashboard="/runs", dashboard_token="t" * 32)
    async with asking(app, ("10.0.0.7", 1)) as http:
        assert (await http.get("/runs/api/overview")).status_code == 401
        answer = await http.post("/runs/api/session", json={"token": "t" * 32})
        assert answer.status_code == 200
        assert (await http.get("/runs/api/overview")).status_code == 200


def test_options_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Serve(FastAPI(), store=str(tmp_path / "a.db"), dashboard="runs")
    with pytest.raises(ConfigurationError):
        Dashboard(None, token="short")  # type: ignore[arg-type]


async def test_on_starlette_it_is_the_same(tmp_path: Path) -> None:
    app: Any = Starlette()
    StarletteServe(app, store=str(tmp_path / "a.db"), dashboard=True)
    async with asking(app) as http:
        assert (await http.get("/workflow-agents/api/overview")).status_code == 200
