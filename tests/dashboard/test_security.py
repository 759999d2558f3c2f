"""Pages show what anybody may have written, and change nothing for whoever is not asked."""

import json
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.dashboard.world import TOKEN, World
from tests.dashboard.xss import PAYLOADS
from workflow_agents import (
    ConfigurationError,
    FlowControl,
    WorkflowNonRetryableError,
    agent_workflow,
    tool,
)
from workflow_agents.testing.model_server import ScriptedModel

WHOLE = "\n".join(PAYLOADS)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every field that somebody else may fill is filled with every payload."""
    with ScriptedModel() as model, World(tmp_path_factory.mktemp("hostile"), model) as world:
        # What a model says and wants to call, and what its tool answers.
        model.call_tools(("note", {"text": WHOLE}), text=WHOLE)
        model.call_tools(("ask", {"text": WHOLE}))
        world.call(_fill(world))
        world.waits(world.runs["agent"], step="Approve tool ask")
        yield world


async def _fill(world: World) -> None:
    engine = world.engine
    waiting = []

    @engine.workflow("/hostile", retries=0)
    async def hostile(context: Any) -> Any:
        text = context.request_payload
        await context.run(text, lambda: {text: text})
        told = {"ask": text, "answers": {text: text, "ok": text}, text: text}
        await context.wait_for_event(text, text, timeout="1d", details=told)

    @engine.workflow("/failing", retries=0)
    async def failing(context: Any) -> Any:
        def fails() -> None:
            raise WorkflowNonRetryableError(context.request_payload)

        await context.run(context.request_payload, fails)

    def note(text: str) -> str:
        """Write it down."""
        return text

    @engine.workflow("/agent", retries=0)
    async def agent(context: Any) -> Any:
        assert world.model is not None
        agents = agent_workflow(context)
        clerk = agents.agent(
            model=agents.openai("gpt-4o", base_url=world.model.base_url, api_key="sk-none"),
            name="clerk",
            background=WHOLE,
            tools=[note, tool(needs_approval=True, name="ask")(note)],
        )
        return (await agents.task(agent=clerk, prompt=WHOLE).run()).text

    world.runs["agent"] = (await engine.client.trigger(agent, None)).run_id
    for payload in PAYLOADS:
        made = await engine.client.trigger(hostile, payload, label=payload.replace("\0", ""))
        waiting.append(made.run_id)
        failed = await engine.client.trigger(failing, payload)
    world.runs["hostile"], world.runs["failing"] = waiting[0], failed.run_id
    core = engine.core
    for run in waiting:
        with core.watching(core.admin.find(run).id) as news:
            while not core.store.all(
                "SELECT 1 FROM waiters WHERE run = ?", (core.admin.find(run).id,)
            ):
                await news.wait()
                news.clear()
    head = {"Authorization": f"Bearer {TOKEN}", "Upstash-Cron": "0 0 1 1 *"}
    async with httpx2.AsyncClient(base_url=world.url, headers=head, trust_env=False) as http:
        for number, payload in enumerate(PAYLOADS[:20]):
            url = f"/v2/schedules/http://127.0.0.1:9/{httpx2.URL('/', params={'q': payload})}"
            given = {"Upstash-Schedule-Id": f"s{number}"}
            await http.post(url, headers=given, content=payload.encode())

    _seed(core.store)


def _seed(store: Any) -> None:
    """What names may not be by today's rules, pages show as text all the same.

    Ids, addresses and errors of schedules; names of queues and workflows; addresses and header
    names of a call; models and workflows that have a price or a budget. Keys of flow control
    are read by the rules for them, also from the store.
    """
    with store.mutex:
        db = store.db
        [(taken,)] = db.execute("SELECT max(id) FROM runs").fetchall()
        for number, text in enumerate(PAYLOADS, taken + 1):
            db.execute("INSERT INTO queues VALUES (?, 1, 0, 0, 0)", (text,))
            db.execute(
                "INSERT INTO runs (id, run_id, workflow, phase, token, wakes, attempt, created_at)"
                " VALUES (?, ?, ?, 3, 1, 0, 0, ?)",
                (number, f"wfr_{text}", text, number),
            )
            db.execute(
                "INSERT INTO schedules SELECT ?1, cron, ?1, created_at, 1, NULL, last_at,"
                " last_messages, ?1, caller_ip, spec, body, payload FROM schedules"
                " WHERE id = 's0'",
                (text,),
            )
        db.execute("UPDATE runs SET run_id = 'wfr_call' WHERE id = ?", (taken + 1,))
        call = {"method": "GET", "url": WHOLE, "headers": {text: text for text in PAYLOADS}}
        db.execute(
            "INSERT INTO feed (run, at, kind, type, step, name, data)"
            " SELECT ?, at, 12, 4, 1, name, ? FROM feed WHERE kind = 12 LIMIT 1",
            (taken + 1, json.dumps(call).encode()),
        )
        for setting, each in (("budgets", "1"), ("prices", ["1", "1", None])):
            told = json.dumps(dict.fromkeys(PAYLOADS, each))
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"server.{setting}", told))


SHOW_ALL = ("/schedules", "/queues", "/workflows", "/costs", "/runs/{call}?step=1&tab=request")
PAGES = (
    *SHOW_ALL, "/flow", "/?search=script", "/?label={payload}&workflow={payload}&columns={payload}",
    "/runs/{agent}?view=conversation", "/runs/{agent}?step=1&tab=request", "/", "/runs/{run}",
    "/runs/{run}?step=1", "/runs/{run}?view=steps&step=2&tab=waits for",
    "/runs/{run}?step=1&tab=code", "/runs/{run}?step=1&tab=logs",
    "/runs/{failing}?step=1&tab=error", "/runs/{failing}?step=1&tab=attempts",
    "/runs/{run}?view=input and result", "/waits", "/letters",
    "/feed", "/settings", "/approvals", "/compare?a={run}&b={run}&step=1",
)  # fmt: skip


def test_nothing_that_was_written_is_executed_or_asked_for(hostile: World, tab: Any) -> None:
    page = tab.page
    page.add_init_script(
        "window.executed = 0; for (const f of ['alert', 'confirm', 'prompt', 'print'])"
        " window[f] = () => { window.executed++ }; window.pwned = () => { window.executed++ }"
    )
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    seen = set[str]()
    page.goto(f"{hostile.ui}/keys")
    for path in PAGES:
        runs = {"run": hostile.runs["hostile"]} | hostile.runs
        runs |= {"call": "wfr_call", "payload": quote(PAYLOADS[0])}
        tab.follow(hostile.ui + path.format(**runs))
        if "agent" in path or path == "/approvals":
            page.locator("main", has_text=PAYLOADS[-1]).wait_for()
        text = page.evaluate("document.body.textContent")
        here = {payload for payload in PAYLOADS if payload in text}
        if path in SHOW_ALL:
            assert here == {*PAYLOADS}, path
        seen |= here
        assert page.evaluate("window.executed") == 0, path
        made = page.locator("main script, main iframe, main img, main object, main style")
        assert made.count() == 0, path
    outside = [u for u in tab.requests if not u.startswith((hostile.ui, "data:image/svg"))]
    assert outside == []
    assert seen == {*PAYLOADS}
    assert [e for e in tab.errors if "Content Security" in e] == []


def test_addresses_of_pages_may_say_anything(hostile: World, tab: Any) -> None:
    page = tab.page
    page.add_init_script("window.executed = 0; window.alert = () => { window.executed++ }")
    paths = ("/?find={}&label={}&workflow={}&search={}", "/runs/x?step={}&tab={}",
             "/approve?link={}")  # fmt: skip
    for number, payload in enumerate(PAYLOADS[::10]):
        page.goto(hostile.ui + paths[number % 3].replace("{}", quote(payload, safe="")))
        tab.quiet()
        page.locator("h1").first.wait_for()
        assert page.evaluate("window.executed") == 0
    assert [u for u in tab.requests if not u.startswith((hostile.ui, "data:image/svg"))] == []
    # What browsers say of answers that are errors is not a script's.
    tab.errors.clear()


def test_a_key_of_flow_control_is_no_such_text() -> None:
    for payload in PAYLOADS:
        with pytest.raises(ConfigurationError):
            FlowControl(payload, parallelism=1)


# Requests of others.

HEADERS: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "content-type": "text/plain"},
    {"origin": "http://evil.test"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"content-type": "text/plain"},
    {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "multipart/form-data; boundary=x"},
    {"content-type": ""},
    {"content-type": "text/plain; application/json"},
    {"host": "evil.test"},
    {"host": "127.0.0.1.evil.test"},
    {"host": "localhost.evil.test:80"},
    {"host": "evil.test", "origin": "http://evil.test"},
    {"host": "rebound.test", "origin": "http://rebound.test", "sec-fetch-site": "same-origin"},
    {"host": ""},
    {"host": "evil.test#localhost"},
]
CHANGES = [
    ("runs", {"workflow": "/orders", "payload": {"amount": 5}}),
    ("runs/{run}/cancel", {}),
    ("runs/{run}/fork", {"step": None}),
]


def test_no_page_of_others_and_no_rebound_name_changes_anything(hostile: World) -> None:
    run = hostile.runs["hostile"]
    before = hostile.call(_seq(hostile))
    sent = 0
    with httpx2.Client(base_url=hostile.ui, trust_env=False) as http:
        for headers in HEADERS:
            # As browsers do: each carries the cookies that there are, and JSON if it may.
            given = {"content-type": "application/json", **headers}
            for path, body in CHANGES:
                url = f"/api/{path.format(run=run)}"
                answer = http.post(url, headers=given, content=json.dumps(body))
                assert answer.status_code in {400, 403, 415, 421}, (headers, path, answer.text)
                sent += 1
    assert sent >= 40
    assert hostile.call(_seq(hostile)) == before
    assert hostile.paid == []


async def _seq(world: World) -> int:
    return world.engine.core.store.overview.last_seq()


def test_a_rebound_name_reads_nothing_either(hostile: World) -> None:
    for path in ("/ui/", "/ui/api/runs", "/ui/api/stream", "/x/y/api/runs"):
        answer = httpx2.get(hostile.url + path, headers={"host": "evil.test"}, trust_env=False)
        assert answer.status_code == 421
        assert "wfr_" not in answer.text


def test_a_page_of_another_origin_cannot_frame_or_read_it(hostile: World, new_tab: Any) -> None:
    tab = new_tab()
    tab.page.goto(f"{hostile.url.replace('127.0.0.1', 'localhost')}/v2/health")
    asked = tab.page.evaluate(
        "url => fetch(url, {credentials: 'include'}).then(() => 'read', () => 'refused')",
        f"{hostile.ui}/api/runs",
    )
    assert asked == "refused"
    tab.errors.clear()
    posted = tab.page.evaluate(
        "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include',"
        " headers: {'content-type': 'text/plain'}, body: '{}'})"
        ".then(() => 'sent', () => 'refused')",
        f"{hostile.ui}/api/runs/{hostile.runs['hostile']}/cancel",
    )
    # The browser sends it all the same, and keeps the answer to itself.
    assert posted in {"sent", "refused"}
    assert hostile.state(hostile.runs["hostile"]) == "RUN_STARTED"
