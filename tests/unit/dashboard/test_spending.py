"""What costs are shown is the sum of what was recorded of each call, to the last digit."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from workflow_agents import Engine, agent_workflow
from workflow_agents.agents.prices import Price
from workflow_agents.dashboard.run_pages import RunPages
from workflow_agents.dashboard.spending import DAY_MS, Ledger, plain
from workflow_agents.store.sqlite_pages import SqlitePages
from workflow_agents.testing.model_server import ScriptedModel

USED = [(1_234, 567), (89, 1), (100_003, 7_777), (1, 0), (33, 333), (5_000, 12)]
PRICE = Price("2.55", "10.01", "1.275")
CACHED = 30


class World:
    """Two workflows of which each run asks a model twice."""

    def __init__(self, engine: Engine, model: ScriptedModel) -> None:
        self.engine, self.model = engine, model
        self.runs: dict[str, list[str]] = {"/a": [], "/b": []}
        for path in self.runs:
            engine.workflow(path, retries=0)(self._run)

    async def _run(self, context: Any) -> Any:
        agents = agent_workflow(context)
        llm = agents.openai("gpt-own", base_url=self.model.base_url, api_key="sk-none")
        agent = agents.agent(model=llm, name="x", background="")
        for prompt in ("first", "second"):
            await agents.task(agent=agent, prompt=prompt).run()

    async def fill(self) -> None:
        for number, path in enumerate(("/a", "/b", "/a")):
            for usage in USED[2 * number : 2 * number + 2]:
                self.model.say("well", usage=usage, cached=min(CACHED, usage[0]))
            run = await self.engine.client.trigger(path)
            await run.result()
            self.runs[path].append(run.run_id)


@pytest.fixture
async def world(tmp_path: Any) -> AsyncIterator[World]:
    with ScriptedModel() as model:
        engine = Engine(str(tmp_path / "s.db"))
        world = World(engine, model)
        async with engine:
            await world.fill()
            yield world


async def test_sums_are_those_of_the_calls(world: World) -> None:
    core = world.engine.core
    pages = SqlitePages(core.store.all)  # type: ignore[attr-defined]
    ledger, own = Ledger(core, pages), {"gpt-own": PRICE}
    assert ledger.count(own)
    each = [
        ((p - min(CACHED, p)) * Decimal("2.55") + min(CACHED, p) * Decimal("1.275")
         + c * Decimal("10.01")) / 1_000_000
        for p, c in USED
    ]  # fmt: skip
    [today] = {day for _, day in ledger.days}
    assert ledger.days["/a", today].cost == sum([*each[:2], *each[4:]])
    assert ledger.days["/b", today].cost == sum(each[2:4])
    spent = ledger.models["gpt-own", today]
    assert spent.cost == sum(each)
    assert (spent.calls, spent.unpriced) == (6, 0)
    assert (spent.prompt, spent.completion) == tuple(map(sum, zip(*USED, strict=True)))

    # The page of a run tells the same, call by call and in all.
    pages_of_runs = RunPages(core, pages)
    await core.commits.store(_prices({"gpt-own": ["2.55", "10.01", "1.275"]}))
    for path, runs in world.runs.items():
        told = [pages_of_runs.conversation(run) for run in runs]
        assert sum(Decimal(one["cost"]) for one in told) == ledger.days[path, today].cost
        for one in told:
            calls = [Decimal(item["cost"]) for item in one["items"] if item["cost"]]
            assert len(calls) == 2
            assert sum(calls) == Decimal(one["cost"])
            steps = [item["step"] for item in one["items"] if item["cost"]]
            spent = [pages_of_runs.step(runs[told.index(one)], step)["spent"] for step in steps]
            assert [Decimal(each["cost"]) for each in spent] == calls
            assert {each["model"] for each in spent} == {"gpt-own"}


def _prices(prices: Any) -> Any:
    import json

    from workflow_agents.store.changes import Change
    from workflow_agents.store.message_changes import KeepSetting

    return Change((KeepSetting("prices", json.dumps(prices)),))


async def test_a_forks_calls_cost_what_its_model_does(world: World) -> None:
    core = world.engine.core
    pages = SqlitePages(core.store.all)  # type: ignore[attr-defined]
    ledger, own = Ledger(core, pages), {"gpt-own": PRICE, "gpt-mini": Price(1, 0)}
    ledger.count(own)
    before = sum(spent.cost for spent in ledger.days.values())
    run = world.engine.client.handle(world.runs["/b"][0])
    world.model.say("well", usage=(3_000_000, 9))
    fork = await run.fork((await run.log()).steps[1].step, model="gpt-mini")
    await fork.result()
    ledger.count(own)
    assert sum(spent.cost for spent in ledger.days.values()) - before == 3
    await core.commits.store(_prices({"gpt-own": ["1", "1", "1"], "gpt-mini": ["1", "0", "0"]}))
    steps = (await fork.log()).steps
    told = [RunPages(core, pages).step(fork.run_id, step.step)["spent"] for step in steps]
    # What came before the fork was paid by its origin.
    assert told[0] is None
    assert told[1] == {"model": "gpt-mini", "tokens": [3_000_000, 9, 0], "cost": "3"}


async def test_each_call_is_counted_once_and_anew_with_other_prices(world: World) -> None:
    core = world.engine.core
    ledger = Ledger(core, SqlitePages(core.store.all))  # type: ignore[attr-defined]
    assert ledger.count({})
    assert ledger.count({})
    [spent] = ledger.models.values()
    assert (spent.calls, spent.unpriced, spent.cost) == (6, 6, 0)
    world.model.say("well", usage=(1_000_000, 0)).say("well", usage=(0, 0))
    await (await world.engine.client.trigger("/b")).result()
    ledger.count({})
    assert spent.calls == 7
    ledger.forget()
    ledger.count({"gpt-own": Price(1, 0)})
    [spent] = ledger.models.values()
    prompts = sum(prompt for prompt, _ in USED) + 1_000_000
    assert spent.cost == Decimal(prompts) / 1_000_000


async def test_many_are_counted_by_and_by(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_agents.dashboard.spending.AT_ONCE", 4)
    core = world.engine.core
    ledger = Ledger(core, SqlitePages(core.store.all))  # type: ignore[attr-defined]
    assert [ledger.count({}), ledger.count({})] == [False, True]
    [spent] = ledger.models.values()
    assert spent.calls == 6


async def test_a_place_in_the_feed_is_found_by_its_time(world: World) -> None:
    pages = SqlitePages(world.engine.core.store.all)  # type: ignore[attr-defined]
    times = world.engine.core.store.all("SELECT seq, at FROM feed ORDER BY seq")
    for _, at in (times[0], times[7], times[-1]):
        assert pages.seq_at(at) == max((s for s, t in times if t < at), default=0)
    assert pages.seq_at(times[-1][1] + DAY_MS) == times[-1][0]


def test_amounts_are_written_with_all_digits() -> None:
    assert [plain(Decimal(text)) for text in ("0", "0.10", "1E+3", "0.0000001")] == [
        "0", "0.1", "1000", "0.0000001",
    ]  # fmt: skip
