"""Tools whose process is killed in the middle of their body: nothing happens twice unasked.

The first life is a process of its own, which is killed with SIGKILL; the second is this process.
The model's script has one reply for each turn, so a turn that were asked for twice would fail.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.forks import nursery
from tests.journeys.tool_worker import RUN, engine_with
from workflow_agents import Approval, AsyncRunHandle, Engine, RunFailed
from workflow_agents.testing.model_server import ScriptedModel

WORKER = Path(__file__).with_name("tool_worker.py")
MODULES = ("openai", "workflow_agents.agents.workflow", "workflow_agents.serve.serve")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        model.call_tools(("pay", {"amount": 30}))
        model.say("Done.")
        yield model
        model.assert_done()


class Lives:
    """The lives of one store."""

    def __init__(self, folder: Path, model: ScriptedModel) -> None:
        self.store, self.notes = folder / "pay.db", folder / "notes"
        self.model = model

    def killed(self, policy: str, *says: str, itself: bool = False) -> None:
        """A life that is killed when it has said this; default: that it is in the body."""
        log = self.store.with_name("said")
        log.unlink(missing_ok=True)
        arguments = [WORKER, *self.arguments(policy), *(["itself"] if itself else [])]
        worker = nursery(*MODULES).start(arguments, log=log)
        expected = says or ("in the body",)
        worker.says("\n".join(expected))
        worker.kill()
        assert log.read_text().splitlines()[: len(expected)] == [*expected]

    @contextlib.asynccontextmanager
    async def next(self, policy: str) -> AsyncIterator[tuple[Engine, AsyncRunHandle]]:
        """The life after, here."""
        engine = engine_with(*self.arguments(policy), hang=False)
        async with asyncio.timeout(60), engine:
            yield engine, engine.client.handle(RUN)

    def arguments(self, policy: str) -> list[str]:
        return [str(self.store), str(self.notes), self.model.base_url, policy]

    @property
    def noted(self) -> list[list[str]]:
        """Amount, key and attempt of every body that began."""
        if not self.notes.exists():
            return []
        return [line.split() for line in self.notes.read_text().splitlines()]

    def told(self) -> str:
        """What the model was told of the call."""
        return self.model.requests[-1].messages[-1]["content"]


@pytest.fixture
def lives(tmp_path: Path, model: ScriptedModel) -> Lives:
    return Lives(tmp_path, model)


async def asked(engine: Engine, run: AsyncRunHandle) -> Approval:
    """Wait until a person is asked."""
    async for entry in run.feed():
        if entry.kind == "STEP_WAITING" and entry.step_type == "WAIT":
            [approval] = await engine.client.approvals.list()
            return approval
    raise AssertionError("the run ended, and nobody was asked")


async def test_by_default_the_body_runs_again_with_the_same_key(lives: Lives) -> None:
    lives.killed("run_again")
    async with lives.next("run_again") as (_, run):
        assert await run.result() == "Done."
    first, second = lives.noted
    assert first == second == ["30", f"{RUN}/1.0/1", "1"]
    assert lives.told() == "paid 30"


@pytest.mark.parametrize("policy", ["ask", "thread"])
async def test_a_person_is_asked_and_lets_it_run_again(lives: Lives, policy: str) -> None:
    lives.killed(policy)
    async with lives.next(policy) as (engine, run):
        approval = await asked(engine, run)
        assert (approval.kind, approval.tool) == ("unknown_outcome", "pay")
        assert approval.arguments == {"amount": 30}
        assert len(lives.noted) == 1, "it ran again unasked"
        await engine.client.approvals.approve(approval, by="ada")
        assert await run.result() == "Done."
    assert lives.noted[0] == lives.noted[1], "the same call has the same key"
    assert lives.told() == "paid 30"


async def test_a_person_knows_that_it_has_happened(lives: Lives) -> None:
    lives.killed("ask")
    async with lives.next("ask") as (engine, run):
        await engine.client.approvals.resolve(await asked(engine, run), "paid 30, receipt 7")
        assert await run.result() == "Done."
    assert len(lives.noted) == 1
    assert lives.told() == "paid 30, receipt 7"


async def test_a_person_decides_that_it_is_not_to_run_again(lives: Lives) -> None:
    lives.killed("ask")
    async with lives.next("ask") as (engine, run):
        await engine.client.approvals.reject(await asked(engine, run), "the bank is closed")
        assert await run.result() == "Done."
    assert len(lives.noted) == 1
    assert "may have done its work" in lives.told()
    assert "The reason: the bank is closed" in lives.told()


async def test_the_run_fails_and_a_person_is_asked_when_it_is_resumed(lives: Lives) -> None:
    lives.killed("fail")
    async with lives.next("fail") as (engine, run):
        with pytest.raises(RunFailed, match="WA707"):
            await run.result()
        [letter] = await engine.client.dlq.list()
        resumed = await engine.client.dlq.resume(letter.dlq_id)
        approval = await asked(engine, resumed)
        assert len(lives.noted) == 1, "it ran again unasked"
        await engine.client.approvals.approve(approval)
        assert await resumed.result() == "Done."
    assert lives.noted[0] == lives.noted[1], "the key is that of the first run"


async def test_a_person_is_asked_again_if_the_second_try_dies_too(lives: Lives) -> None:
    lives.killed("ask")
    async with lives.next("ask") as (engine, run):
        await asked(engine, run)
    killed_again(lives)
    async with lives.next("ask") as (engine, run):
        while not (open_ := await engine.client.approvals.list()):
            await asyncio.sleep(0.002)
        assert len(lives.noted) == 2
        await engine.client.approvals.resolve(open_[0], "paid at last")
        assert await run.result() == "Done."
    assert lives.told() == "paid at last"


def killed_again(lives: Lives) -> None:
    """A life in which a person lets it run again, and which is killed in the body."""
    script = (
        "import asyncio, sys\n"
        "from tests.journeys.tool_worker import RUN, engine_with\n"
        "async def main():\n"
        "    async with engine_with(*sys.argv[1:5], hang=True) as engine:\n"
        "        [approval] = await engine.client.approvals.list()\n"
        "        await engine.client.approvals.approve(approval)\n"
        "        await engine.client.handle(RUN).result()\n"
        "asyncio.run(main())\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, *lives.arguments("ask")],
        cwd=WORKER.parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"in the body\n"
    worker.kill()
    worker.communicate()


async def test_a_kill_while_a_person_is_asked_forgets_nothing(lives: Lives) -> None:
    lives.killed("approve", "waiting")
    async with lives.next("approve") as (engine, run):
        # At once, while the engine still starts: the wait is a row, whoever is awake.
        [approval] = await engine.client.approvals.list(RUN)
        await engine.client.approvals.approve(approval, arguments={"amount": 20})
        assert await run.result() == "Done."
    assert [amount for amount, _, _ in lives.noted] == ["20"]


async def test_a_kill_after_the_approval_asks_nobody_again(lives: Lives) -> None:
    lives.killed("approve", "waiting", "in the body", itself=True)
    async with lives.next("approve") as (engine, run):
        assert await run.result() == "Done."
        assert await engine.client.approvals.list() == []
    assert lives.noted[0] == lives.noted[1]
