"""A run whose step ends the process, each time it is tried, is taken out; others go on."""

from pathlib import Path

from tests.forks import nursery

WORKER = Path(__file__).with_name("poison_worker.py")
RECOVERIES = 4
"""From the fourth on, those that were in hand together go on one after the other."""


def test_a_run_that_ends_its_process_again_and_again_fails_and_may_be_resumed(
    tmp_path: Path,
) -> None:
    store, notes = tmp_path / "poison.db", tmp_path / "notes"

    def life(number: int, body: str) -> tuple[int, str]:
        """One life of the worker: its exit code, and what it said."""
        log = tmp_path / f"out{number}"
        argv = [WORKER, store, notes, body, RECOVERIES]
        child = nursery("workflow_agents.serve.serve").start(argv, log=log)
        return child.wait(), " ".join(child.out.read_text().split())

    lives = [life(n, "kill") for n in range(RECOVERIES + 1)]
    assert [code for code, _ in lives] == [-9] * (RECOVERIES + 1)

    code, said = life(RECOVERIES + 1, "kill")
    assert code == 0
    assert "good: 40" in said, "the other run was taken along"
    assert f"WA211 its process died {RECOVERIES + 1} times without progress" in said
    assert notes.read_text().count("poison") == RECOVERIES + 1

    code, said = life(RECOVERIES + 2, "mended")
    assert code == 0
    assert "resumed: harmless" in said
