"""Each page shows what the engine says, and does what it offers."""

import re
from typing import Any

from playwright.sync_api import expect

from tests.dashboard.world import World
from workflow_agents import FlowControl


def get(page: Any, world: World, path: str) -> Any:
    return page.request.get(f"{world.ui}/api/{path}").json()


def rows(page: Any) -> Any:
    return page.locator("table.list tbody tr")


def cells(page: Any) -> list[list[str]]:
    """At once: rows come and go."""
    return page.evaluate(
        "[...document.querySelectorAll('table.list tbody tr')]"
        ".map(row => [...row.querySelectorAll('td')].map(cell => cell.innerText))"
    )


def test_runs_are_filtered_by_the_address(world: World, tab: Any) -> None:
    page = tab.page
    page.goto(f"{world.ui}/?label=vip&state=failed")
    page.get_by_role("link", name=world.runs["failed"]).wait_for()
    assert len(cells(page)) == 1
    asked = [url for url in tab.requests if "/api/" in url and "stream" not in url]
    assert len(asked) <= 2
    page.get_by_role("button", name="label vip").click()
    expect(rows(page).nth(1)).to_be_visible()
    page.get_by_label("Workflow").select_option("/fails")
    expect(rows(page)).to_have_count(3)
    page.get_by_role("button", name="save view").click()
    page.get_by_label("Name of the view").fill("mine")
    page.keyboard.press("Enter")
    page.goto(world.ui)
    page.get_by_role("link", name="mine").click()
    expect(rows(page)).to_have_count(3)
    assert "workflow=%2Ffails" in page.url
    page.go_back()
    expect(rows(page).nth(3)).to_be_visible()


def test_a_timeline_cuts_what_is_idle_short_and_says_how_long_it_was(
    world: World, page: Any
) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['nap']}")
    row = page.get_by_role("option", name="three days, sleep, waiting")
    row.wait_for()
    assert row.locator(".bar.waiting").count() == 1
    page.goto(f"{world.ui}/runs/{world.runs['done']}?step=2")
    page.get_by_label("Step charge card").get_by_text('"paid": 30').wait_for()
    steps = page.get_by_role("option").all()
    assert [step.get_attribute("aria-posinset") for step in steps] == [str(n) for n in range(1, 7)]
    page.keyboard.press("Escape")
    page.get_by_label("Step charge card").wait_for(state="detached")
    assert "step=" not in page.url


def test_secrets_of_a_request_are_not_shown(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['agent']}?step=1&tab=request")
    inspector = page.get_by_label("Step Call Agent clerk")
    inspector.get_by_text("authorization").wait_for()
    assert "s3cret" not in page.content()
    assert "[hidden]" in inspector.inner_text()
    # What it cost stands above.
    assert re.search(r"gpt-4o\s+[\d,]+ \+ [\d,]+ tokens", inspector.inner_text())


def test_a_conversation_is_folded_and_summed(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['agent']}?view=conversation")
    page.get_by_text("Order 7 came broken").wait_for()
    told = get(page, world, f"runs/{world.runs['agent']}/conversation")
    calls = [item["tokens"] for item in told["items"] if item["tokens"]]
    assert told["prompt"] == sum(prompt for prompt, _, _ in calls) > 0
    assert f"{told['prompt']} + {told['completion']} tokens" in page.locator(".sum").inner_text()
    call = page.locator("details.call")
    assert call.get_attribute("open") is None
    call.locator("summary").click()
    assert '"amount": 25' in call.locator("pre").inner_text()
    page.get_by_role("button", name="raw").click()
    page.get_by_label("Request", exact=True).get_by_text('"model": "gpt-4o"').wait_for()
    page.get_by_label("Response", exact=True).get_by_text('"tool_calls"').wait_for()


def test_what_is_long_is_told_of_too(world: World, page: Any) -> None:
    event = "e" * 60
    run = world.trigger("/details", {"event": event, "details": ["x" * 100] * 100})
    world.waits(run)
    page.goto(f"{world.ui}/runs/{run}")
    page.get_by_text(f"Step “asks” waits for 23 h 59 m for the event {event}.").wait_for()


def test_attempts_are_told_one_by_one(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['flaky']}?step=1")
    page.get_by_text("Step “fetch rates” has failed once: 503 from the bank").wait_for()
    attempt = page.locator(".attempt")
    attempt.get_by_text("ConnectionError").wait_for()
    assert "tests/dashboard/world.py" in attempt.inner_text()


def test_a_child_leads_to_its_parent_and_back(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['parent']}")
    page.locator(".lineage a").click()
    page.get_by_text("invoked by").wait_for()
    page.get_by_role("link", name=world.runs["parent"]).click()
    page.get_by_text("invoked wfr_").wait_for()


def test_a_webhook_is_called_from_the_page(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/waits")
    row = page.get_by_role("row").filter(has_text="payment arrives")
    assert "23 h 59 m left" in row.inner_text()
    row.get_by_role("button", name="Answer").click()
    page.get_by_text("From elsewhere").click()
    [wait] = [w for w in get(page, world, "waits")["waits"] if w["kind"] == "webhook"]
    assert wait["url"] in page.get_by_label("A command").inner_text()
    page.get_by_label("Body of the request, as JSON").fill('{"paid": 1')
    page.get_by_role("button", name="Send the answer").click()
    page.get_by_text("This is no JSON").wait_for()
    page.get_by_label("Body of the request, as JSON").fill('{"paid": 1}')
    page.get_by_role("button", name="Send the answer").click()
    assert world.ended(world.runs["hook"]) == "RUN_SUCCESS"
    row.wait_for(state="detached")


def test_schedules_tell_when_they_fire_in_local_time_and_utc(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/schedules")
    card = page.get_by_label("Schedule nightly")
    card.wait_for()
    utc = card.locator(".utc").all_inner_texts()
    assert len(utc) == 5
    assert {text[-8:] for text in utc} <= {"01:00:00", "02:00:00"}  # 3 in Berlin
    card.get_by_role("button", name="Pause").click()
    card.get_by_text("Would fire next").wait_for()
    assert world.call(_schedule(world)).paused
    card.get_by_role("button", name="Go on").click()
    card.get_by_text("Fires next").wait_for()
    card.get_by_role("button", name="Run now").click()
    page.get_by_text("nightly was run").wait_for()
    overview = world.engine.core.store.overview
    last = overview.events(run=None, label=None, after=0, limit=10_000)
    assert "MESSAGE_CREATED" in [event.kind.name for event in last]


async def _schedule(world: World) -> Any:
    return world.engine.core.wire.schedules.get("nightly")


def test_flow_control_keys_are_pinned_and_paused(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/flow")
    row = page.get_by_role("row").filter(has_text="bank")
    row.get_by_role("button", name="Pin").click()
    page.get_by_label("At once").fill("3")
    page.get_by_role("button", name="Pin", exact=True).click()
    row.get_by_text("of 3").wait_for()
    row.get_by_text("pinned: parallelism").wait_for()
    row.get_by_role("button", name="Pause").click()
    row.get_by_text("paused").wait_for()
    # What the key holds back is told as the engine counts it.
    held = [
        world.trigger("/flaky", flow_control=FlowControl("bank", parallelism=1)) for _ in range(2)
    ]
    row.get_by_text("oldest").wait_for()
    world.until(lambda: world.engine.core.wire.flow_keys.use("bank").waiting == 2)
    [told] = [key for key in get(page, world, "flow")["keys"] if key["key"] == "bank"]
    keys = world.engine.core.wire.flow_keys
    now = world.call(_use(keys))
    assert (told["inFlight"], told["waiting"]) == (now.in_flight, now.waiting) == (0, 2)
    assert told["oldest"] == world.engine.core.admin.find(held[0]).created_at
    assert told["parallelism"] == 3
    use = world.engine.core.wire.flow_keys.use("bank")
    assert use.state.paused
    assert use.state.limits is not None
    assert use.state.limits.parallelism == 3
    row.get_by_role("button", name="Go on").click()
    row.get_by_role("button", name="Pause").wait_for()
    row.get_by_role("button", name="Unpin").click()
    row.get_by_text("messages").wait_for()


async def _use(keys: Any) -> Any:
    return keys.use("bank")


def test_queues_are_paused(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/queues")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    assert world.engine.core.wire.queues.get("mails").paused


def test_keys_are_masked(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/keys")
    page.get_by_text("QSTASH_CURRENT_SIGNING_KEY").wait_for()
    keys = world.engine.core.wire.credentials.keys
    assert keys.current not in page.content()
    assert keys.current[-4:] in page.content()


def test_health_is_what_the_runs_say(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/workflows")
    page.get_by_role("link", name="/fails").wait_for()
    [fails] = [row for row in cells(page) if row[0] == "/fails"]
    assert fails[2] == "100 % of 3"
    took = world.engine.core.store.all(
        "SELECT ended_at - created_at FROM runs WHERE workflow = '/orders' AND phase = 10"
        " ORDER BY 1"
    )
    [orders] = [
        one for one in get(page, world, "workflows")["workflows"] if one["workflow"] == "/orders"
    ]
    assert orders["p50"] == took[(len(took) - 1) // 2][0]


def test_the_feed_tells_everything_newest_first(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/feed")
    page.get_by_text("dead letter added").first.wait_for()
    numbers = [int(row[0]) for row in cells(page)]
    assert numbers == sorted(numbers, reverse=True)


def test_dead_letters_of_an_error_are_resumed_together(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/letters")
    page.get_by_role("button", name="the feed is empty").click()
    page.get_by_text("3 of this error").wait_for()
    world.broken = False
    page.get_by_role("button", name="Resume 3").click()
    page.locator("dialog").get_by_role("button", name="Resume", exact=True).click()
    page.get_by_text("3 resumed").wait_for()
    groups = get(page, world, "letters/groups")["groups"]
    assert [(g["of"], g["count"]) for g in groups] == [("/orders", 1)]
    page.get_by_role("button", name="the feed is empty").wait_for(state="detached")
    page.goto(f"{world.ui}/?workflow=/fails&state=success")
    expect(rows(page)).to_have_count(3)
    page.locator("table.list tbody tr a").first.click()
    page.get_by_text("goes on with wfr_").wait_for()


def test_a_run_is_cancelled(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['nap']}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text("It was cancelled.").wait_for()
    assert world.state(world.runs["nap"]) == "RUN_CANCELED"


def test_under_a_path_of_an_app_everything_is_the_same(world: World, tab: Any) -> None:
    page = tab.page
    page.goto(f"{world.url}/x/y/")
    page.get_by_role("link", name=world.runs["done"]).click()
    page.get_by_text("It has succeeded.").wait_for()
    page.reload()
    page.get_by_text("It has succeeded.").wait_for()
    assert all(url.startswith((f"{world.url}/x/y/", "data:")) for url in tab.requests)


def test_copied_commands_run_as_they_are(world: World, new_tab: Any) -> None:
    import subprocess

    from tests.dashboard.world import TOKEN

    tab = new_tab()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.goto(f"{world.ui}/runs/{world.runs['done']}")
    tab.page.get_by_role("button", name="curl").click()
    tab.page.get_by_text("copied").wait_for()
    command = tab.page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True,
        env={"QSTASH_TOKEN": TOKEN, "PATH": "/usr/bin:/bin", "no_proxy": "*"},
    )  # fmt: skip
    assert done.returncode == 0
    assert '"error"' not in done.stdout
