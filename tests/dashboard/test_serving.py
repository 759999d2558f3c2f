"""Who may reach the dashboard, and where it is: without a browser."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.dashboard.world import READER, TOKEN, World
from workflow_agents.dashboard.site import Dashboard


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


def test_no_address_is_forgotten(closed: World) -> None:
    """Each route that there is asks who it is, but for those that nobody need be."""
    routes: Any = Dashboard(closed.engine, token="t" * 32)._app.routes
    table = [
        (method, re.sub(r"\{[^}]+\}", "a", route.path))
        for route in routes
        for method in sorted(route.methods - {"HEAD"})
        if route.path.startswith("/api/") and route.path != "/api/{path:path}"
    ]
    public = {("POST", "/api/session"), ("POST", "/api/session/end")}
    public |= {("GET", "/api/linked"), ("POST", "/api/linked"), ("GET", "/api/session")}
    assert len(table) > 25
    with client(closed) as nobody, client(closed, token=READER) as reader:
        for method, path in table:
            if (method, path) in public:
                continue
            assert nobody.request(method, path, **_body(method)).status_code == 401, path
            if method == "POST":
                assert reader.request(method, path, **_body(method)).status_code == 403, path


def _body(method: str) -> dict[str, Any]:
    return {} if method == "GET" else {"json": {}}


def test_a_reader_reads_only(closed: World) -> None:
    with client(closed, token=READER) as http:
        assert http.get("/api/overview").json()["counts"]["success"] == [1, False]
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
