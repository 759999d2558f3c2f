"""Who may reach the dashboard, and where it is: without a browser."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.dashboard.world import READER, TOKEN, World
from workflow_agents import ConfigurationError
from workflow_agents.dashboard.site import Dashboard
from workflow_agents.fastapi import Serve


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server on which one has to sign in."""
    with World(tmp_path_factory.mktemp("closed"), dev=False) as world:
        world.runs["done"] = world.trigger("/orders", {"amount": 3})
        world.ended(world.runs["done"])
        yield world


@contextlib.contextmanager
def client(world: World, token: str | None = None) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=world.ui, trust_env=False) as http:
        if token is not None:
            answer = http.post("/api/session", json={"token": token})
            assert answer.status_code == 200
            cookie = answer.headers["set-cookie"]
            parts = {part.strip() for part in cookie.split(";")}
            assert {"HttpOnly", "SameSite=strict", "Path=/ui"} <= parts
            assert token not in cookie
        yield http


def test_without_a_token_nothing_is_told(closed: World) -> None:
    with client(closed) as http:
        page = http.get("/runs/wfr_x")
        assert page.status_code == 200
        assert "&quot;signedIn&quot;:false" in page.text
        run = closed.runs["done"]
        for path in ("runs", "overview", f"runs/{run}", f"runs/{run}/steps/1", "stream", "keys",
                     "feed", "waits", "approvals", "letters", "flow", "workflows"):  # fmt: skip
            assert http.get(f"/api/{path}").status_code == 401, path
        assert http.post(f"/api/runs/{run}/cancel", json={}).status_code == 401
        assert http.post("/api/session", json={"token": "nobody's"}).status_code == 401
        assert http.get("/api/linked?link=abc").status_code == 403


def test_a_reader_reads_only(closed: World) -> None:
    with client(closed, token=READER) as http:
        assert http.get("/api/overview").json()["counts"]["success"] == 1
        answer = http.post("/api/runs", json={"workflow": "/orders", "payload": {"amount": 4}})
        assert (answer.status_code, answer.json()["error"]) == (403, "the token may only read")
    assert closed.paid == [3]


def test_whoever_may_make_changes_does_until_he_signs_out(closed: World) -> None:
    with client(closed, token=TOKEN) as http:
        made = http.post("/api/runs", json={"workflow": "/orders", "payload": {"amount": 4}})
        assert closed.ended(made.json()["runId"]) == "RUN_SUCCESS"
        assert http.post("/api/session/end", json={}).status_code == 200
        assert http.get("/api/overview").status_code == 401


def test_every_answer_says_what_a_page_may_do(closed: World) -> None:
    with client(closed, token=TOKEN) as http:
        for path in ("/", "/assets/app.js", "/assets/nothing", "/api/overview", "/api/nothing"):
            headers = http.get(path).headers
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';")
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
        for path in ("/assets/..%2fsite.py", "/assets/%2e%2e/site.py", "/assets/..%5csite.py"):
            assert "class Dashboard" not in http.get(path).text


def test_the_address_without_a_slash_leads_to_the_pages(closed: World) -> None:
    answer = httpx2.get(f"{closed.url}/ui", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")


def test_an_approval_link_is_for_one_approval(world: World) -> None:
    with client(world) as http:
        [approval] = http.get("/api/approvals").json()["approvals"]
        link = http.post("/api/approvals/link", json={"id": approval["id"]}).json()["link"]
        assert http.get("/api/linked", params={"link": link}).json()["hash"] == approval["hash"]
        changed = link[:-2] + ("AA" if link[-2:] != "AA" else "BB")
        assert http.get("/api/linked", params={"link": changed}).status_code == 403
        wrong = {"id": approval["id"], "verdict": "approve", "hash": "of others"}
        assert http.post("/api/approvals", json=wrong).status_code == 409
        assert world.refunds == []


# Embedded.


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
