"""A page of one's own follows a run and decides it; the dashboard decides the same run."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from playwright.sync_api import expect

HERE = Path(__file__).parent
ASKED = {"supplier": "Meyer & Daughters", "euros": 480, "reason": "the chairs of May"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example's app, as its users serve it; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPROVAL_PACE", "0.02")
        patch.setenv("APPROVAL_STORE", str(tmp_path_factory.mktemp("site") / "payouts.db"))
        from examples.approval_page.app import app
    config = uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def started(site: str) -> str:
    """The id of a new run."""
    return httpx2.post(f"{site}/api/runs", json=ASKED, trust_env=False).json()["runId"]


def test_a_person_approves_on_the_page_that_follows_the_run(site: str, new_tab: Any) -> None:
    page = new_tab(viewport={"width": 360, "height": 740}).page
    page.goto(site)
    page.get_by_role("button", name="Ask for it").click()
    decision = page.get_by_role("group", name="Decision")
    decision.get_by_text("Pay 480 euros to Meyer & Daughters for the chairs of May?").wait_for()
    assert page.get_by_role("status").inner_text() == "Your decision, please"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.reload()
    steps = page.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(steps).to_have_text(
        ["Check the invoicedone", "Look the supplier updone", "Wait for approvalwaits for you",
         "Payto come", "Send the receiptto come"]
    )  # fmt: skip
    decision.get_by_role("button", name="Approve").click()
    page.get_by_text("Paid 480 euros to Meyer & Daughters, approved by you.").wait_for()
    expect(steps.nth(4)).to_have_text("Send the receiptdone")
    expect(decision).to_be_hidden()


def test_the_dashboard_decides_the_same_run_while_the_page_looks_on(
    site: str, new_tab: Any
) -> None:
    tab = new_tab()
    page, dashboard = tab.page, tab.context.new_page()
    run_id = started(site)
    page.goto(f"{site}/?run={run_id}")
    page.get_by_role("button", name="Approve").wait_for()
    dashboard.goto(site + page.get_by_role("link", name="dashboard").get_attribute("href"))
    panel = dashboard.get_by_label("Wait Wait for approval")
    panel.get_by_text("Pay 480 euros to Meyer & Daughters").wait_for()
    panel.get_by_role("button", name="Reject").click()
    result = "Rejected by somebody at the dashboard: nothing was paid."
    page.get_by_text(result).wait_for()
    # Who it was stands at the step, and in the feed.
    dashboard.goto(f"{site}/workflow-agents/runs/{run_id}?step=3")
    dashboard.get_by_text("answered from the dashboard").wait_for()
    dashboard.goto(f"{site}/workflow-agents/feed")
    dashboard.get_by_text("answered from the dashboard").first.wait_for()


FOLLOW = """async ([runId, options]) => {
    const { watch } = await import("/events/client.js");
    const ticket = async () => (await fetch(`/api/runs/${runId}/ticket`)).text();
    window.seen = [];
    window.one = watch(runId, {
        token: ticket, ...options, onChange: ({ status, live }) => seen.push([status, live]),
    });
}"""


def decide(site: str, run_id: str, *, approved: bool, by: str = "ada") -> None:
    decision = {"approved": approved, "by": by}
    answer = httpx2.post(f"{site}/api/runs/{run_id}/decision", json=decision, trust_env=False)
    assert answer.status_code == 200


def test_what_breaks_off_is_gone_on_with_and_nothing_is_missed_or_told_twice(
    site: str, tab: Any
) -> None:
    page, run_id = tab.page, started(site)
    page.goto(site)
    page.evaluate(FOLLOW, [run_id, {}])
    page.wait_for_function("one.run.status === 'waiting'")
    decide(site, run_id, approved=True)
    whole = page.evaluate("one.done")
    assert (whole["status"], whole["live"]) == ("success", False)
    assert whole["result"].endswith("approved by ada.")
    assert len(whole["steps"]) == 5

    # Of two connections the rest is lost: first behind two events, then just before the end.
    came_back: list[str | None] = []
    cuts = [slice(0, 2), slice(0, -1)]

    def cut(route: Any) -> None:
        came_back.append(route.request.headers.get("last-event-id"))
        if len(came_back) > len(cuts):
            route.continue_()
            return
        blocks = route.fetch().text().split("\n\n")[:-1]
        body = "".join(f"{block}\n\n" for block in blocks[cuts[len(came_back) - 1]])
        route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/events/api/stream*", cut)
    page.evaluate(FOLLOW, [run_id, {}])
    assert page.evaluate("one.done") == whole
    assert [number is None for number in came_back] == [True, False, False, True]
    # All that there is was told: so only the end was asked for, from the beginning.
    statuses = [status for status, _ in page.evaluate("seen")]
    assert statuses[-1] == "success"
    assert "refused" not in statuses


def test_who_may_not_follow_it_is_told_so_and_whoever_leaves_hears_no_more(
    site: str, tab: Any
) -> None:
    page, run_id = tab.page, started(site)
    page.goto(site)
    page.evaluate(FOLLOW, [run_id, {"token": "run.forged"}])
    run = page.evaluate("one.done")
    assert (run["status"], run["error"]["status"], run["steps"]) == ("refused", 401, [])
    page.evaluate(FOLLOW, [run_id, {}])
    page.wait_for_function("one.run.status === 'waiting'")
    page.evaluate("one.close(); seen.length = 0")
    page.evaluate("one.done")
    decide(site, run_id, approved=False)
    page.wait_for_timeout(200)
    assert page.evaluate("seen") == []


def test_a_component_of_react_follows_it_too(
    site: str, tab: Any, node_modules: Path, tmp_path: Path
) -> None:
    built = tmp_path / "page.js"
    subprocess.run(
        [node_modules / ".bin" / "esbuild", HERE / "following.jsx", "--bundle", "--format=esm",
         "--jsx=automatic", "--external:/events/client.js", "--log-level=error",
         f"--outfile={built}"],
        env={"NODE_PATH": str(node_modules), "PATH": "/usr/bin:/bin:/usr/local/bin"}, check=True,
    )  # fmt: skip
    page, run_id = tab.page, started(site)
    html = "<!doctype html><title>x</title><body></body><script type=module src=/react.js></script>"
    page.route("**/react?*", lambda r: r.fulfill(body=html, content_type="text/html"))
    page.route(
        "**/react.js", lambda r: r.fulfill(body=built.read_text(), content_type="text/javascript")
    )
    page.goto(f"{site}/react?run={run_id}")
    page.get_by_role("heading", name="waiting").wait_for()
    page.get_by_text("Wait for approval: waiting").wait_for()
    page.get_by_role("button", name="leave").click()
    page.get_by_role("heading", name="nothing").wait_for()
    decide(site, run_id, approved=True)
    page.get_by_role("button", name="come back").click()
    page.get_by_text("Paid 480 euros to Meyer & Daughters, approved by ada.").wait_for()
    assert page.get_by_role("listitem").count() == 5
