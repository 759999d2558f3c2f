"""The synchronous faces have the names, arguments and properties of what they are faces of."""

import inspect
from typing import Any

import pytest

from workflow_agents import (
    AsyncClient,
    AsyncRunHandle,
    AsyncWorkflowContext,
    Client,
    DeadLetters,
    Engine,
    RunHandle,
    WorkflowContext,
)
from workflow_agents.approvals import AsyncApprovals
from workflow_agents.client import AsyncDeadLetters
from workflow_agents.client.messages import AsyncMessages, AsyncSchedules
from workflow_agents.client.resources import (
    AsyncFlowControl,
    AsyncKeys,
    AsyncQueues,
    AsyncUrlGroups,
)
from workflow_agents.conversations import AsyncConversations
from workflow_agents.sync.messages import Messages, Schedules
from workflow_agents.sync.people import Approvals, Conversations
from workflow_agents.sync.resources import FlowControlKeys, Keys, Queues, UrlGroups

PAIRS = [
    (AsyncWorkflowContext, WorkflowContext),
    (AsyncClient, Client),
    (AsyncRunHandle, RunHandle),
    (AsyncDeadLetters, DeadLetters),
    (AsyncApprovals, Approvals),
    (AsyncConversations, Conversations),
    *(
        PARTS := [
            (AsyncMessages, Messages),
            (AsyncSchedules, Schedules),
            (AsyncQueues, Queues),
            (AsyncUrlGroups, UrlGroups),
            (AsyncFlowControl, FlowControlKeys),
            (AsyncKeys, Keys),
        ]
    ),
]

ONLY_SET = {
    *("approvals", "conversations", "dlq"),
    *("messages", "schedules", "queues", "url_groups", "flow_control", "keys"),
}
"""What is no method of either client, and is set when it is made or first asked for."""

ONLY_SYNC = {"run_async"}
"""What needs no twin: with await it is there already."""

# What is set by the constructor is read through a property of the face, or set there too.
ATTRIBUTES = {
    AsyncWorkflowContext: (
        [
            "workflow_run_id",
            "url",
            "request_payload",
            "headers",
            "env",
            "labels",
            "created_at",
            "origin",
        ]
    ),
    AsyncClient: ["dlq"],
    AsyncRunHandle: ["run_id", "deduplicated"],
    AsyncDeadLetters: [],
    AsyncApprovals: [],
    AsyncConversations: [],
    **{twin: [] for twin, _ in PARTS},
}


def members(cls: type) -> dict[str, Any]:
    return {name: member for name, member in vars(cls).items() if not name.startswith("_")}


@pytest.mark.parametrize(("twin", "face"), PAIRS)
def test_the_same_names(twin: type, face: type) -> None:
    expected = {*members(twin), *ATTRIBUTES[twin]} - ONLY_SET
    assert {*members(face)} - ONLY_SYNC == expected


@pytest.mark.parametrize(("twin", "face"), PAIRS)
def test_the_same_arguments(twin: type, face: type) -> None:
    for name, member in members(twin).items():
        if inspect.isfunction(member):
            assert arguments(getattr(face, name)) == arguments(member), f"{face.__name__}.{name}"


@pytest.mark.parametrize(("twin", "face"), PAIRS)
def test_nothing_of_the_face_is_awaited(twin: type, face: type) -> None:
    del twin
    awaited = [
        name
        for name, member in members(face).items()
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
    ]
    assert awaited == []


@pytest.mark.parametrize(("twin", "face"), PAIRS)
def test_a_face_is_thin(twin: type, face: type) -> None:
    """One expression behind the docstring of each method: what is decided, is decided once."""
    import ast
    import textwrap

    del twin
    for name, member in members(face).items():
        function = member.fget if isinstance(member, property) else member
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
        (definition,) = tree.body
        assert isinstance(definition, ast.FunctionDef)
        assert len(definition.body) == 2, f"{face.__name__}.{name}"


def test_attributes_are_those_of_an_instance() -> None:
    client = Engine(":memory:").client
    handle = client.handle("wfr_x")
    for instance in (client, client.dlq, handle):
        cls = next(c for c in type(instance).__mro__ if c in ATTRIBUTES)
        public = [name for name in vars(instance) if not name.startswith("_")]
        assert sorted(public) == sorted(ATTRIBUTES[cls])
    assert hasattr(Client(client), "dlq")


def test_an_engine_runs_the_same_things_either_way() -> None:
    assert arguments(Engine.run) == arguments(Engine.run_sync)


def arguments(function: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]
