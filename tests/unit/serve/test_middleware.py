"""Middlewares by themselves: how they are made, called, and kept from doing harm."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from workflow_agents import (
    ConfigurationError,
    Engine,
    RunError,
    RunInfo,
    WorkflowMiddleware,
    logging_middleware,
)
from workflow_agents.serve.middleware import Middlewares, checked_middlewares

INFO = RunInfo("wfr_1", "hello")


def recording(name: str, heard: list[Any]) -> WorkflowMiddleware:
    async def hear(event: Any) -> None:
        heard.append((name, event))

    return WorkflowMiddleware(name, callbacks={"on_info": hear, "on_error": hear})


async def test_several_are_told_in_their_order() -> None:
    heard: list[Any] = []
    await Middlewares([recording("a", heard), recording("b", heard)]).tell(INFO, "wfr_1")
    assert heard == [("a", INFO), ("b", INFO)]


async def test_one_that_raises_is_logged_and_told_to_the_others(caplog) -> None:
    heard: list[Any] = []
    error = ValueError("no database")

    def broken(_event: Any) -> None:
        raise error

    breaks = WorkflowMiddleware("breaks", callbacks={"on_info": broken, "on_error": broken})
    both = Middlewares([breaks, recording("other", heard)])
    await both.tell(INFO, "wfr_1")
    assert heard == [("other", RunError("wfr_1", error)), ("other", INFO)]
    assert "middleware 'breaks', on_info" in caplog.text

    heard.clear()
    failure = RunError("wfr_1", RuntimeError("the run's own"))
    await both.tell(failure, "wfr_1")
    assert heard == [("other", failure)], "an error of on_error is told to nobody"


async def test_init_is_called_once_before_the_first_event() -> None:
    made, heard = [], []

    async def init() -> Any:
        made.append(1)
        await asyncio.sleep(0)
        return {"on_info": heard.append}

    middleware = WorkflowMiddleware("lazy", init=init)
    assert not made
    await asyncio.gather(*(middleware.tell(INFO) for _ in range(5)))
    assert (len(made), len(heard)) == (1, 5)


async def test_init_that_raises_is_called_again() -> None:
    heard: list[Any] = []
    tries = iter([OSError("down"), None])

    def init() -> Any:
        if (error := next(tries)) is not None:
            raise error
        return {"on_info": heard.append}

    lazy = Middlewares([WorkflowMiddleware("lazy", init=init)])
    await lazy.tell(INFO, "wfr_1")
    await lazy.tell(INFO, "wfr_1")
    assert heard == [INFO]


async def test_a_plain_callback_is_called_in_a_thread() -> None:
    threads: list[Any] = []
    plain = WorkflowMiddleware(
        "plain", callbacks={"on_info": lambda _: threads.append(threading.current_thread())}
    )
    await plain.tell(INFO)
    assert threads != [threading.current_thread()]


async def test_the_logging_middleware_logs_or_prints(caplog, capsys, monkeypatch) -> None:
    with caplog.at_level(logging.INFO):
        await logging_middleware.tell(INFO)
    assert "run wfr_1: hello" in caplog.text

    room = logging.getLogger("workflow_agents.serve.middleware")
    monkeypatch.setattr(room, "hasHandlers", lambda: False)
    await logging_middleware.tell(INFO)
    assert capsys.readouterr().err == "run wfr_1: hello\n"


def test_verbose_adds_the_logging_middleware_once() -> None:
    assert checked_middlewares([], verbose=False) is None
    for given in ([], [logging_middleware]):
        found = checked_middlewares(given, verbose=True)
        assert found is not None
        assert found._all == (logging_middleware,)


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA102", lambda: WorkflowMiddleware("x")),
        ("WA102", lambda: WorkflowMiddleware("x", callbacks={}, init=dict)),
        ("WA102", lambda: WorkflowMiddleware("", callbacks={})),
        ("WA102", lambda: WorkflowMiddleware("x", init=3)),
        ("WA101", lambda: WorkflowMiddleware("x", callbacks={"on_eror": print})),
        ("WA102", lambda: WorkflowMiddleware("x", callbacks={"on_error": 3})),
        ("WA101", lambda: WorkflowMiddleware("x", callback={})),
        ("WA102", lambda: Engine(":memory:").workflow("/x", middlewares=[print])(_workflow)),
        ("WA102", lambda: Engine(":memory:").workflow("/x", middlewares=3)(_workflow)),
        ("WA102", lambda: Engine(":memory:").workflow("/x", verbose="yes")(_workflow)),
    ],
)
def test_mistakes_are_told_where_they_are_made(code, mistake) -> None:
    with pytest.raises(ConfigurationError) as raised:
        mistake()
    assert raised.value.code == code


async def _workflow(context: Any) -> None: ...
