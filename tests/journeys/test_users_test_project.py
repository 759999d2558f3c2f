"""A project of a user, with tests of its own that use the whole kit: its own pytest runs them.

The kit is used as users have it: in another process, as a plugin, with the settings of their
project and not of this one.
"""

import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.forks import Done, nursery

ROOT = Path(__file__).parents[2]
MODULES = ("_pytest.pytester", "asyncio", "httpx2", "pydantic", "sqlite3", "uvicorn")

pytestmark = pytest.mark.slow

SHOP = '''
from workflow_agents import AsyncWorkflowContext, Engine, agent_workflow

engine = Engine("shop.db")


@engine.workflow("/subscribe")
async def subscribe(context: AsyncWorkflowContext[dict]) -> str:
    email = context.request_payload["email"]
    await context.run("welcome", lambda: f"welcome {email}")
    await context.sleep("trial", "30d")
    charge = await context.call("charge", url="https://bank.example/charges", method="POST")
    paid = await context.wait_for_event("wait for payment", f"paid-{email}", timeout="7d")
    return "unpaid" if paid.timeout else charge.body["id"]


@engine.workflow("/research")
async def research(context: AsyncWorkflowContext[str]) -> str:
    agents = agent_workflow(context)

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"cold in {city}"

    guide = agents.agent(model=agents.openai("gpt-4o"), name="guide", tools=[weather])
    return (await agents.task(agent=guide, prompt=context.request_payload).run()).text
'''

CONFTEST = """
import pytest

from tests.forks import Done, nursery

import shop


@pytest.fixture
def workflow_env(workflow_env):
    workflow_env.include(shop.engine)
    return workflow_env
"""

TESTS = """
import asyncio
import time
from datetime import timedelta

import pytest

from tests.forks import Done, nursery

import shop
from workflow_agents.testing import (
    assert_steps, check_store, crash_everywhere, crash_points, expect, record_history,
    recorded_histories, replay_history, run_workflow, step,
)

ADA = {"email": "ada@example.com"}


def world(http):
    http.on("POST", "https://bank.example/charges", {"id": "ch_1"})


EVENTS = {"paid-ada@example.com": {}}


async def test_a_month_takes_a_moment(workflow_env):
    began = time.process_time()
    world(workflow_env.http)
    begin = workflow_env.now
    run = await workflow_env.trigger(shop.subscribe, ADA)
    await workflow_env.until_waiting(run, event="paid-ada@example.com")
    assert workflow_env.now - begin == timedelta(days=30)
    await workflow_env.notify("paid-ada@example.com")
    assert await workflow_env.result(run) == "ch_1"
    log = await workflow_env.log(run)
    assert_steps(log, ["welcome", expect("trial", type="sleep"), "charge", "wait for payment"])
    assert step(log, "welcome").out == "welcome ada@example.com"
    assert time.process_time() - began < 1


async def test_the_engine_and_its_clock(workflow_engine, virtual_clock):
    world(workflow_engine.core.http)
    before = virtual_clock.now_ms()
    async with workflow_engine:
        run = await workflow_engine.client.trigger(shop.subscribe, ADA)
        assert await run.result() == "unpaid"
    assert virtual_clock.now_ms() - before == 37 * 86_400_000


def test_a_sync_test(workflow_env):
    world(workflow_env.http)
    assert asyncio.run(workflow_env.run(shop.subscribe, ADA)) == "unpaid"
    assert run_workflow(shop.subscribe, ADA, world=world, events=EVENTS).result == "ch_1"


async def test_an_agent(workflow_env, scripted_model):
    scripted_model.call_tools(("weather", {"city": "Oslo"})).say("It is cold.")
    assert await workflow_env.run(shop.research, "Oslo?") == "It is cold."
    scripted_model.assert_done()


def test_every_crash(scripted_model):
    report = crash_everywhere(shop.subscribe, ADA, world=world, events=EVENTS)
    assert report.result == "ch_1"
    assert report.executions == {"welcome": 2}
    scripted_model.call_tools(("weather", {"city": "Oslo"})).say("It is cold.")
    report = crash_everywhere(shop.research, "Oslo?", model=scripted_model)
    assert report.executions == {"Run tool weather": 2}
    scripted_model.assert_done()


@pytest.mark.parametrize("crash", crash_points(shop.subscribe, ADA, world=world, events=EVENTS))
def test_this_crash(crash):
    crash.play()


async def test_recording(workflow_env, tmp_path):
    world(workflow_env.http)
    run = await workflow_env.trigger(shop.subscribe, ADA)
    await workflow_env.until_waiting(run, step="trial")
    await record_history(run).save("histories/on-trial.json")
    await workflow_env.result(run)


def test_replaying():
    for history in recorded_histories("histories"):
        replay_history(history, shop.engine).assert_fits()
"""

CHANGED = """
import pytest

from tests.forks import Done, nursery

import shop
from workflow_agents.testing import recorded_histories, replay_history


@pytest.mark.parametrize("history", recorded_histories("histories"))
def test_old_runs_go_on(history):
    replay_history(history, shop.engine).assert_fits()
"""

WRONG = """
import shop
from workflow_agents.testing import assert_steps, crash_everywhere

charged = []


async def test_a_request_that_nobody_expects(workflow_env):
    await workflow_env.run(shop.subscribe, {"email": "ada@example.com"})


async def test_other_steps(workflow_env):
    workflow_env.http.on("POST", "https://bank.example/charges", {"id": "ch_1"})
    run = await workflow_env.trigger(shop.subscribe, {"email": "ada@example.com"})
    assert_steps(await workflow_env.ended(run), ["hello", "trial"])


def test_a_body_that_is_not_safe_to_repeat():
    async def careless(context):
        return await context.run("charge", lambda: (charged.append(1), len(charged))[1])

    crash_everywhere(careless, world=lambda http: charged.clear())


def test_swallowed(workflow_env):
    import asyncio

    async def swallowing(context):
        try:
            await shop.subscribe._function(context)
        except Exception:
            pass

    async def main():
        run = await workflow_env.trigger(swallowing, {"email": "ada@example.com"})
        await workflow_env.advance("31d")

    asyncio.run(main())
"""


PLUGIN = "workflow_agents.testing.plugin"
ASYNCIO = "pytest_asyncio.plugin"
ANYIO = "anyio.pytest_plugin"
LOOP_SCOPE = "asyncio_default_fixture_loop_scope = function"


STORE = """
import asyncio

import shop
from workflow_agents.testing import WorkflowEnvironment


async def main():
    async with WorkflowEnvironment(shop.engine, store="shop.db") as env:
        run = await env.trigger("/subscribe", {"email": "ada@example.com"})
        await env.until_waiting(run, step="trial")


asyncio.run(main())
"""


class Project:
    """A folder with a user's project, and the pytest that runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("shop.py", SHOP)
        self.write("conftest.py", CONFTEST)
        self.settings("asyncio_mode = auto", LOOP_SCOPE)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def settings(self, *lines: str) -> None:
        self.write("pytest.ini", "\n".join(["[pytest]", "filterwarnings = error", *lines]))

    def pytest(self, *arguments: str, plugins: Sequence[str] = (ASYNCIO,)) -> Done:
        """Run the project's tests, with these plugins and ours."""
        named = [f"-p{name}" for name in ("no:cacheprovider", PLUGIN, *plugins)]
        return self.python("pytest", *named, *arguments)

    def python(self, *arguments: str) -> Done:
        hidden = ("OPENAI", "QSTASH", "PYTEST")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        return nursery(*MODULES).run(
            arguments,
            cwd=self.folder,
            env=environment
            | {
                "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder}",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            timeout=100,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def outcomes(done: Done) -> dict[str, int]:
    summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    return {what: int(n) for n, what in re.findall(r"(\d+) (\w+)", summary)}


def test_a_users_tests_pass(project: Project) -> None:
    project.write("test_shop.py", TESTS)
    done = project.pytest("-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(done)["passed"] > 30
    assert "test_this_crash[crash before commit 3, the result of 'welcome']" in done.stdout
    history = json.loads((project.folder / "histories" / "on-trial.json").read_text())
    assert [step["name"] for step in history["steps"]] == ["welcome"]
    assert not (project.folder / "shop.db").exists()

    # The next day somebody renames a step: the runs that are on trial would not go on.
    project.write("test_shop.py", CHANGED)
    done = project.pytest("-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_old_runs_go_on[on-trial] PASSED" in done.stdout
    project.write("shop.py", SHOP.replace('"welcome"', '"greet"'))
    done = project.pytest()
    assert outcomes(done)["failed"] == 1
    assert "does not fit: WA201 at step 1" in done.stdout
    assert "expected  run 'welcome'  (recorded by this run)" in done.stdout
    assert "found     run 'greet'" in done.stdout


def test_a_users_mistakes_are_told(project: Project) -> None:
    project.write("test_wrong.py", WRONG)
    done = project.pytest()
    assert outcomes(done) == {"failed": 4} | {k: v for k, v in outcomes(done).items() if k == "in"}
    assert "found  POST https://bank.example/charges" in done.stdout
    assert "  - hello" in done.stdout
    assert "a crash made a difference in 1 of 8 trials" in done.stdout


def test_other_ways_of_running_async_tests(project: Project) -> None:
    """pytest-asyncio in strict mode, and anyio beside it and without it."""
    one = (
        "import pytest, shop\n"
        "MARK\n"
        "async def test_it(workflow_env):\n"
        "    workflow_env.http.on('POST', 'https://bank.example/charges', {'id': 'ch_1'})\n"
        "    assert await workflow_env.run(shop.subscribe, {'email': 'ada'}) == 'unpaid'\n"
        "MARK\n"
        "async def test_left_running(workflow_env):\n"
        "    await workflow_env.trigger(shop.subscribe, {'email': 'ada'})\n"
    )
    anyio = "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n\n"
    project.settings("asyncio_mode = strict", LOOP_SCOPE)
    project.write("test_strict.py", one.replace("MARK", "@pytest.mark.asyncio"))
    project.write("test_anyio.py", anyio + one.replace("MARK", "@pytest.mark.anyio"))
    done = project.pytest(plugins=(ASYNCIO, ANYIO))
    assert (done.returncode, outcomes(done)["passed"]) == (0, 4), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

    (project.folder / "test_strict.py").unlink()
    project.settings()
    done = project.pytest(plugins=(ANYIO,))
    assert (done.returncode, outcomes(done)["passed"]) == (0, 2), done.stdout + done.stderr


def test_the_fixtures_are_listed(project: Project) -> None:
    project.settings()
    done = project.pytest("--fixtures", plugins=())
    for name in ("workflow_env", "workflow_engine", "virtual_clock", "scripted_model"):
        assert re.search(rf"^{name}\b", done.stdout, re.M), done.stdout


def test_a_store_is_checked_from_a_shell(project: Project) -> None:
    check = ("workflow_agents.testing.store_check",)
    project.write("fill.py", STORE)
    assert project.python("fill.py").returncode == 0
    good = project.python(*check, "shop.db", "shop:engine")
    assert (good.returncode, good.stdout) == (0, "1 of 1 runs of shop.db fit\n"), good.stderr
    project.write("shop.py", SHOP.replace('"welcome"', '"greet"'))
    bad = project.python(*check, "shop.db", "shop:engine")
    assert bad.returncode == 1
    assert "does not fit: WA201 at step 1" in bad.stdout
    missing = project.python(*check, "other.db", "shop:engine")
    assert (missing.returncode, missing.stderr[:5]) == (2, "WA603")
    assert project.python(*check, "shop.db").returncode == 2


def test_the_package_brings_the_plugin() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["entry-points"]["pytest11"] == {"workflow_agents": PLUGIN}
