"""The page of dead letters: what failed for good, by its error; each can be tried again."""

import json
from typing import Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.options import RunOptions
from workflow_agents.dashboard.asking import Ask, Row, text_in
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.store.sqlite_pages import LetterGroup, LetterLine

PAGE = 50
MOST_AT_ONCE = 1_000
_ACTIONS = {"run": ("resume", "restart", "delete"), "message": ("retry", "delete")}


async def groups(ask: Ask) -> Any:
    """The errors that there are, how often and since when."""
    return {"groups": [_group(one) for one in ask.pages.letter_groups()]}


async def listed(ask: Ask) -> Any:
    """Dead letters of one error, or all, the newest first."""
    found = ask.pages.letters(
        ask.asked("error"), ask.asked("message"), ask.number("before"), PAGE + 1
    )
    more = found[PAGE - 1].place if len(found) > PAGE else None
    return {"letters": [_line(ask, one) for one in found[:PAGE]], "before": more}


async def act(ask: Ask) -> Any:
    """Do something with those that are named, or with all of one error."""
    given = await ask.body()
    action = text_in(given, "action")
    if action not in {"resume", "restart", "retry", "delete"}:
        raise wrong_option("action", "resume, restart, retry or delete", action)
    named: Any = given.get("ids")
    if named is None:
        group: Any = given.get("group")
        if not isinstance(group, dict):
            raise wrong_option("ids", "a list of ids, or a group", named)
        error, message = group.get("error"), group.get("message")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- JSON
        found = ask.pages.letters(error, message, None, MOST_AT_ONCE)  # pyright: ignore[reportUnknownArgumentType] -- JSON
        named = [one.id for one in found]
    if not isinstance(named, list) or len(named) > MOST_AT_ONCE:  # pyright: ignore[reportUnknownArgumentType] -- JSON
        raise wrong_option("ids", f"a list of at most {MOST_AT_ONCE} ids", "something else")
    done: list[Any] = []
    failed: list[Any] = []
    for letter in named:  # pyright: ignore[reportUnknownVariableType] -- JSON
        try:
            done.append(await _act(ask, action, str(letter)))  # pyright: ignore[reportUnknownArgumentType] -- JSON
        except WorkflowAgentsError as error:
            failed.append([str(letter), str(error.what)])  # pyright: ignore[reportUnknownArgumentType] -- JSON
    return {"done": done, "failed": failed}


async def _act(ask: Ask, action: str, letter: str) -> Any:
    engine = ask.engine
    kind = ask.pages.letter_kind(letter)
    if action not in _ACTIONS[kind]:
        expected = " or ".join(_ACTIONS[kind])
        raise wrong_option("action", f"{expected}, for this is of a {kind}", action)
    if kind == "message":
        if action == "delete":
            await engine.wire.letters.delete(letter)
            return [letter, None]
        sent = await engine.wire.letters.retry(letter)
        return [letter, engine.wire.messages.id_of(sent.message)]
    if action == "delete":
        await engine.admin.delete_letter(letter)
        return [letter, None]
    made = await engine.admin.again(letter, RunOptions(), resume=action == "resume")
    return [letter, made.run_id]


def _group(group: LetterGroup) -> dict[str, Any]:
    return {
        "error": group.error,
        "message": group.message,
        "of": group.of,
        "count": group.letters,
        "first": group.first,
        "last": group.last,
    }


def _line(ask: Ask, letter: LetterLine) -> dict[str, Any]:
    failure: dict[str, Any] = json.loads(letter.failure)
    detail: dict[str, Any] = failure.get("detail") or {}
    return {
        "id": letter.id,
        "kind": "message" if letter.message else "run",
        "runId": letter.run_id,
        "messageId": ask.engine.wire.messages.id_of(letter.message) if letter.message else None,
        "of": letter.of,
        "at": letter.at,
        "error": failure.get("error"),
        "message": failure.get("message"),
        "status": failure.get("status"),
        "where": failure.get("where"),
        "fix": detail.get("fix"),
        "failureFunction": letter.callback or None,
    }


routes = (
    Row("GET", "/api/letters", listed),
    Row("GET", "/api/letters/groups", groups),
    Row("POST", "/api/letters", act),
)
