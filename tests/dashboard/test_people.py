"""What people decide, answer and set: approvals, waits, schedules, settings."""

import json
import subprocess
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx2
from playwright.sync_api import expect

from tests.dashboard.world import TOKEN, World
from workflow_agents.dashboard.sessions import Session
from workflow_agents.dashboard.site import Dashboard
from workflow_agents.protocol.approvals import arguments_hash

CALL = ("refund", {"order": 7, "amount": 25})


def asks(world: World, path: str = "/desk", number: int = 1) -> str:
    """A run that asks a person."""
    assert world.model is not None
    world.model.call_tools(CALL)
    run = world.trigger(path)
    world.waits(run, step="Approve tool refund")
    return run


def decided(world: World, run: str, says: str) -> None:
    """See the run through to its end."""
    assert world.ended(run) == "RUN_SUCCESS"
    assert world.call(world.engine.client.log(run)).result == says


# Approvals.


def test_what_is_shown_is_what_runs_and_keys_decide_on_a_narrow_page(
    world: World, new_tab: Any
) -> None:
    page = new_tab(viewport={"width": 320, "height": 640}).page
    assert world.model is not None
    page.goto(f"{world.ui}/approvals")
    card = page.get_by_role("article", name="Approval of refund")
    card.get_by_role("button", name="Approve").wait_for()
    assert "6 d 23 h left" in card.inner_text()
    shown = json.loads(card.get_by_label("Arguments").inner_text())
    mark = card.get_by_title("SHA-256 of the arguments").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    world.model.say("Refunded.")
    page.keyboard.press("a")
    page.get_by_text("Approved: refund").wait_for()
    decided(world, world.runs["agent"], "Refunded.")
    executed = dict(zip(("order", "amount"), world.refunds[-1], strict=True))
    assert executed == shown
    assert arguments_hash(executed).startswith(mark)
    assert len(mark) == 12


def test_an_edit_shows_what_it_changes(world: World, page: Any) -> None:
    run = asks(world)
    assert world.model is not None
    page.goto(f"{world.ui}/approvals")
    page.get_by_role("button", name="Approve", exact=True).wait_for()
    page.keyboard.press("e")
    page.get_by_label("Arguments").fill('{"order": 7, "amount": "much"}')
    expect(page.get_by_label("Changes").locator("div")).to_have_text(
        ['\u2212   "amount": 25', '+   "amount": "much"']
    )
    page.get_by_role("button", name="Approve as edited").click()
    # The tool would not take it: so nothing is decided.
    page.get_by_text("expected integer").wait_for()
    world.model.say("In part.")
    page.get_by_label("Arguments").fill('{"order": 7, "amount": 20}')
    page.get_by_role("button", name="Approve as edited").click()
    decided(world, run, "In part.")
    assert world.refunds[-1] == (7, 20)


def test_a_person_rejects_with_a_reason_or_answers_in_the_place_of_the_tool(
    world: World, page: Any
) -> None:
    assert world.model is not None
    before = list(world.refunds)
    for key, label, word, text in (
        ("x", "Why not?", "Reject", "The order was never paid."),
        ("", "The model is told this", "Answer in its place", "Offer a voucher."),
    ):
        run = asks(world)
        page.goto(f"{world.ui}/runs/{run}")
        page.get_by_role("button", name="Approve", exact=True).wait_for()
        if key:
            page.keyboard.press(key)
        else:
            page.get_by_role("button", name="Answer…").click()
        page.get_by_label(label).fill(text)
        world.model.say("So be it.")
        page.get_by_role("button", name=word, exact=True).click()
        decided(world, run, "So be it.")
        told = [m["content"] for m in world.model.requests[-1].messages if m["role"] == "tool"]
        assert text in told[-1]
    assert world.refunds == before


def test_where_two_have_to_approve_they_sign_in_as_two(world: World, page: Any) -> None:
    """Who it is, is whose token it was; nobody may say so himself."""
    run = asks(world, "/vault")
    page.goto(f"{world.ui}/runs/{run}")
    page.get_by_text("0 of 2 people have approved it.").wait_for()
    assert page.get_by_role("button", name="copy a link").count() == 0
    # Without names there are no two people.
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("a name: 2 people have to approve this").wait_for()

    def sign_in(token: str) -> Session:
        return Session(token, may_change=True, until=0)

    app = Dashboard(world.engine.core, sign_in=sign_in)

    async def as_person(name: str, path: str, body: dict[str, Any]) -> tuple[int, str]:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
            await http.post("/api/session", json={"token": name})
            [asked] = (await http.get("/api/approvals", params={"run": run})).json()["approvals"]
            given = {"id": asked["id"], "hash": asked["hash"], "verdict": "approve", **body}
            answer = await http.post(path, json=given)
            return answer.status_code, answer.text

    assert world.call(as_person("ada", "/api/approvals/link", {}))[0] == 409
    assert world.call(as_person("ada", "/api/approvals", {"by": "bob"}))[0] == 200
    page.get_by_text("1 of 2 people have approved it: ada.").wait_for()
    status, text = world.call(as_person("ada", "/api/approvals", {}))
    assert (status, "another person" in text) == (409, True)
    before = len(world.refunds)
    assert world.model is not None
    world.model.say("By two.")
    assert world.call(as_person("bob", "/api/approvals", {}))[0] == 200
    decided(world, run, "By two.")
    assert len(world.refunds) == before + 1
    page.goto(f"{world.ui}/runs/{run}?view=steps")
    page.get_by_role("option", name="Approve tool refund").last.click()
    page.get_by_text("approved by bob").wait_for()


def test_nothing_secret_is_kept_in_the_browser(world: World, new_tab: Any) -> None:
    tab = new_tab()
    tab.page.goto(f"{world.ui}/approvals")
    tab.page.get_by_role("heading", name="Approvals").wait_for()
    kept = tab.page.evaluate(
        "async () => JSON.stringify([{...localStorage}, {...sessionStorage},"
        " await indexedDB.databases(), await caches.keys(), document.cookie])"
    )
    assert json.loads(kept)[1:] == [{}, [], [], ""]
    assert set(json.loads(kept)[0]) <= {"theme", "keys", "views"}


def test_a_link_whose_time_has_passed_says_so(world: World, page: Any) -> None:
    said = {"approval": "of some run", "hash": "", "until": 1}
    link = world.engine.core.sealer.seal(json.dumps(said))
    with page.expect_response(lambda answer: "/api/linked" in answer.url) as answered:
        page.goto(f"{world.ui}/approve?link={quote(link)}")
    assert answered.value.status == 410
    page.get_by_role("alert").get_by_text("the time of this link has passed").wait_for()
    assert page.get_by_role("button").count() == 0


# Waits.


def test_a_wait_counts_down_and_the_command_that_is_shown_answers_it(
    world: World, page: Any
) -> None:
    page.clock.install()
    run = world.trigger("/details", {"event": "a / strange 'event'", "details": {"ask": "Well?"}})
    world.waits(run)
    page.goto(f"{world.ui}/waits")
    row = page.get_by_role("row").filter(has_text=run)
    left = row.locator("td").nth(4).get_by_role("time")
    expect(left).to_contain_text("23 h 59 m left")
    page.clock.fast_forward("02:30:00")
    expect(left).to_contain_text("21 h 29 m left")
    page.clock.fast_forward("22:00:00")
    expect(left).to_have_text("its time has passed")
    row.get_by_role("button", name="Answer").click()
    page.get_by_text("Well?").wait_for()
    page.get_by_text("From elsewhere").click()
    command = page.get_by_label("A command").inner_text()
    pasted(command.replace("{}", '{"from": "a shell"}'))
    decided(world, run, {"from": "a shell"})  # type: ignore[arg-type]
    # That was the API, and the step says whose token it was.
    page.goto(f"{world.ui}/runs/{run}?step=1")
    page.get_by_text("answered by ada through the API").wait_for()

    row = page.get_by_role("row").filter(has_text="payment arrives")
    page.goto(f"{world.ui}/waits")
    row.get_by_role("button", name="Answer").click()
    page.get_by_text("From elsewhere").click()
    pasted(page.get_by_label("A command").inner_text())
    assert world.ended(world.runs["hook"]) == "RUN_SUCCESS"


def pasted(command: str) -> None:
    """Run it as somebody does who has pasted it into a shell."""
    environment = {"QSTASH_TOKEN": TOKEN, "PATH": "/usr/bin:/bin", "no_proxy": "*"}
    done = subprocess.run(
        ["sh", "-c", command.replace("curl ", "curl -sf ", 1)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, command


# Schedules.


def test_schedules_show_what_a_calendar_says(world: World, page: Any) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    world.call(scheduled(world, "monthly", "CRON_TZ=Europe/Berlin 30 8 1 * *"))
    page.goto(f"{world.ui}/schedules")
    card = page.get_by_label("Schedule monthly")
    card.wait_for()
    at, wanted = datetime.now(berlin).replace(day=1, hour=8, minute=30, second=0), list[str]()
    offsets = [datetime.now(berlin).utcoffset()]
    while len(wanted) < 5:
        if at > datetime.now(berlin):
            wanted.append(f"{at.astimezone(ZoneInfo('UTC')):%Y-%m-%d %H:%M:%S}")
            offsets.append(at.utcoffset())
        at = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
    assert card.locator(".utc").all_inner_texts() == wanted
    local = [datetime.fromisoformat(f"{text}+00:00") for text in wanted]
    shown = card.get_by_role("time").evaluate_all("all => all.map(one => one.dateTime)")
    assert [f"{one:%Y-%m-%dT%H:%M:%S}.000Z" for one in local] == shown[:5]
    # Twice a year one of five months has another offset.
    assert card.get_by_text("Clocks in Europe/Berlin go").count() == (len({*offsets}) > 1)
    page.get_by_text("Ticks missed while the server is down are made up for by one.").wait_for()
    assert page.get_by_label("Schedule often").get_by_text("Clocks in").count() == 0


async def scheduled(world: World, name: str, cron: str) -> None:
    head = {"Authorization": f"Bearer {TOKEN}", "Upstash-Cron": cron, "Upstash-Schedule-Id": name}
    async with httpx2.AsyncClient(base_url=world.url, headers=head, trust_env=False) as http:
        answer = await http.post("/v2/schedules/http://127.0.0.1:9/tick", content=b"{}")
        answer.raise_for_status()


# Whoever looks on.


def test_words_are_heard_while_they_are_said(world: World, page: Any) -> None:
    """Beside the dashboard, whoever has signed in follows any run."""
    assert world.model is not None
    world.model.say("It may rain.")
    run_id = world.trigger("/advice")
    page.goto(world.ui)
    page.evaluate(
        "async id => { const { watch } = await import('/ui/client.js');"
        " window.one = watch(id, { words: true }) }",
        run_id,
    )
    page.wait_for_function("() => one.run.status === 'waiting'")
    world.call(world.engine.client.notify(f"go-{run_id}", None))
    run = page.evaluate("one.done")
    assert run["result"] == "It may rain."
    assert [(said["text"], said["done"]) for said in run["replies"]] == [("It may rain.", True)]


# Settings.


def test_settings_are_shown_and_those_of_the_browser_are_kept(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/settings")
    engine = page.get_by_role("region", name="Engine")
    engine.get_by_text(str(world.engine.core.path)).wait_for()
    assert "MB" in engine.inner_text() or "kB" in engine.inner_text()
    limits = page.get_by_role("region", name="Limits").inner_text()
    assert "concurrent_deliveries" in limits
    assert "100,000" in limits
    server = page.get_by_role("region", name="Server").inner_text()
    assert "ada (admin), rita (read)" in server
    assert TOKEN not in page.content()
    page.get_by_role("radio", name="dark").check()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="theme: dark").wait_for()
    page.get_by_label("single keys are on").uncheck()
    page.reload()
    expect(page.get_by_role("radio", name="dark")).to_be_checked()
    expect(page.get_by_label("single keys are on")).not_to_be_checked()
    page.keyboard.press("?")
    page.wait_for_timeout(100)
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("link", name="Whether the server works").click()
    assert json.loads(page.locator("body").inner_text())
