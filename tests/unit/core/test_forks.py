import pytest

from workflow_agents.core.forks import found, left_out_from
from workflow_agents.errors import NotFound
from workflow_agents.protocol.history import Recorded, StepKind

RECORDED = [
    Recorded(key, StepKind.RUN, name, ok=True, data=b"1")
    for key, name in [(1, "a"), ("1.1/1", "b"), ("1.0/1", "b"), ("1.1/2", "c"), (2, "d")]
]


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (2, [2]),
        ("1.0/1", ["1.0/1", "1.1/2", 2]),
        (1, [1, "1.1/1", "1.0/1", "1.1/2", 2]),
        (None, [1, "1.1/1", "1.0/1", "1.1/2", 2]),
    ],
)
def test_a_fork_leaves_out_the_step_and_all_behind_it(step, left) -> None:
    assert left_out_from(RECORDED, step) == left


def test_a_step_is_found_by_key_or_by_its_only_name() -> None:
    assert found(RECORDED, "1.0/1", run_id="r").key == "1.0/1"
    assert found(RECORDED, "c", run_id="r").key == "1.1/2"
    for unknown in ("b", "e", 7):
        with pytest.raises(NotFound, match="WA212"):
            found(RECORDED, unknown, run_id="r")
