"""A run, as a person or a program reads it. What is told of its steps is in `step_logs`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_agents.core.step_logs import StepLog


@dataclass(slots=True, repr=False)
class RunLog:
    """One run and its steps.

    Attributes:
        workflow_run_id: its id.
        workflow: its path.
        state: RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED.
        created_at: Unix milliseconds.
        ended_at: Unix milliseconds; None while it runs.
        labels: as given.
        payload: what it was started with.
        result: what it returned.
        failure: why it failed: error, message, status, attempts.
        dlq_id: of the dead letter it became.
        invoker: the id of the run that invoked it.
        forked_from: the id of the run that it was forked from; known with its steps.
        resumed_from: the id of the failed run that it goes on with; known with its steps.
        steps: in the order in which they were first heard of.
    """

    workflow_run_id: str
    workflow: str
    state: str
    created_at: int
    ended_at: int | None = None
    labels: tuple[str, ...] = ()
    payload: Any = None
    result: Any = None
    failure: dict[str, Any] | None = None
    dlq_id: str | None = None
    invoker: str | None = None
    forked_from: str | None = None
    resumed_from: str | None = None
    steps: "Steps" = field(default_factory=lambda: Steps())

    def __post_init__(self) -> None:
        self.steps = Steps(self.steps)

    def __repr__(self) -> str:
        """One line, the state last."""
        from workflow_agents.display import runs

        return runs.line(self)

    def _repr_html_(self) -> str:
        from workflow_agents.display import runs

        return runs.run(self)

    def _repr_markdown_(self) -> str:
        from workflow_agents.display import runs

        return runs.markdown(self)


class RunLogList(list[RunLog]):
    """A part of all runs.

    Attributes:
        cursor: where the next part begins; None: this was the last.
    """

    def __init__(self, runs: Iterable[RunLog] = (), cursor: str | None = None) -> None:
        super().__init__(runs)
        self.cursor = cursor


class Steps(list["StepLog"]):
    """The steps of a run; notebooks show them as a table."""

    def __repr__(self) -> str:
        """A line for each, branches indented."""
        from workflow_agents.display import runs

        return "\n".join(runs.plain_steps(self))

    def _repr_html_(self) -> str:
        from workflow_agents.display import runs

        return runs.steps(self)

    def to_pandas(self) -> Any:
        """A pandas `DataFrame`, a row for each step."""
        import dataclasses
        import importlib

        pandas: Any = importlib.import_module("pandas")
        return pandas.DataFrame([dataclasses.asdict(step) for step in self])
