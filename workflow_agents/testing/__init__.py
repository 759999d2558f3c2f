"""For users' tests: time that jumps, a world that is made up, crashes, recorded histories.

Its names come from `from workflow_agents.testing import ...`, and are loaded when first used.
`plugin` gives pytest its fixtures. docs/guides/testing.md shows them all.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_agents.testing.crashes import (
        CrashPoint,
        CrashReport,
        NotCrashProof,
        crash_everywhere,
        crash_points,
        run_workflow,
    )
    from workflow_agents.testing.environment import WorkflowEnvironment
    from workflow_agents.testing.fake_http import (
        FakeHttp,
        Route,
        SentRequest,
        UnexpectedRequest,
        no_answer,
        respond,
    )
    from workflow_agents.testing.faults import AtCommit
    from workflow_agents.testing.histories import (
        RecordedHistory,
        record_history,
        recorded_histories,
    )
    from workflow_agents.testing.model_server import RecordedRequest, ScriptedModel
    from workflow_agents.testing.replays import ReplayReport, replay_history
    from workflow_agents.testing.steps import (
        assert_steps,
        expect,
        step,
        step_names,
        step_results,
        steps_named,
    )
    from workflow_agents.testing.store_check import StoreReport, check_store
    from workflow_agents.testing.virtual_time import (
        Deadlock,
        VirtualClock,
        VirtualTime,
        run_virtually,
    )

__all__ = [
    "AtCommit",
    "CrashPoint",
    "CrashReport",
    "Deadlock",
    "FakeHttp",
    "NotCrashProof",
    "RecordedHistory",
    "RecordedRequest",
    "ReplayReport",
    "Route",
    "ScriptedModel",
    "SentRequest",
    "StoreReport",
    "UnexpectedRequest",
    "VirtualClock",
    "VirtualTime",
    "WorkflowEnvironment",
    "assert_steps",
    "check_store",
    "crash_everywhere",
    "crash_points",
    "expect",
    "no_answer",
    "record_history",
    "recorded_histories",
    "replay_history",
    "respond",
    "run_virtually",
    "run_workflow",
    "step",
    "step_names",
    "step_results",
    "steps_named",
]

_ROOMS = {
    "crashes": (
        "CrashPoint",
        "CrashReport",
        "NotCrashProof",
        "crash_everywhere",
        "crash_points",
        "run_workflow",
    ),
    "environment": ("WorkflowEnvironment",),
    "fake_http": (
        "FakeHttp",
        "Route",
        "SentRequest",
        "UnexpectedRequest",
        "no_answer",
        "respond",
    ),
    "faults": ("AtCommit",),
    "histories": ("RecordedHistory", "record_history", "recorded_histories"),
    "model_server": ("RecordedRequest", "ScriptedModel"),
    "replays": ("ReplayReport", "replay_history"),
    "steps": (
        "assert_steps",
        "expect",
        "step",
        "step_names",
        "step_results",
        "steps_named",
    ),
    "store_check": ("StoreReport", "check_store"),
    "virtual_time": ("Deadlock", "VirtualClock", "VirtualTime", "run_virtually"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a name of the kit from its room."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'workflow_agents.testing' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"workflow_agents.testing.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
