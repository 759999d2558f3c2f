"""The inbox of approvals: what agents want to do, and what people let them.

A link of one approval is sealed with the key of the store: whoever has it may see and decide
this approval until its time has passed, and nothing else. So a person approves on a telephone
that knows no token.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from workflow_agents.approvals import Approval, AsyncApprovals
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.dashboard.asking import Ask, Refused, Row, text_in
from workflow_agents.engine.in_process import InProcess
from workflow_agents.errors import StateError, StoreError

_LINKED = "by a link"


async def listed(ask: Ask) -> Any:
    """What waits for a person; what has waited longest comes first."""
    found = await _of(ask).list(ask.asked("run"))
    return {"approvals": [_shown(one) for one in found]}


async def decide(ask: Ask) -> Any:
    """Approve, reject, answer or resolve one, as whoever has signed in."""
    given = await ask.body()
    return await _decide(ask, text_in(given, "id"), given, ask.user)


async def link(ask: Ask) -> Any:
    """A link by which one approval can be decided."""
    given = await ask.body()
    approval = await _of(ask).get(text_in(given, "id"))
    if approval.approvers > 1:
        # A link does not say who has it, so one person could approve for two.
        raise Refused(409, f"{approval.approvers} people have to approve this, by signing in")
    said = {"approval": approval.id, "hash": approval.arguments_hash, "until": approval.deadline}
    return {"link": ask.engine.sealer.seal(json.dumps(said))}


async def linked(ask: Ask) -> Any:
    """The approval of a link."""
    return _shown(await _of(ask).get(_opened(ask, ask.asked("link") or "")["approval"]))


async def decide_linked(ask: Ask) -> Any:
    """Decide the approval of a link."""
    given = await ask.body()
    said = _opened(ask, text_in(given, "link"))
    return await _decide(ask, said["approval"], {**given, "hash": said["hash"]}, _LINKED)


async def _decide(ask: Ask, id: str, given: Mapping[str, Any], by: str | None) -> Any:
    approvals, verdict = _of(ask), given.get("verdict")
    waiting = await approvals.get(id)
    if given.get("hash") != waiting.arguments_hash:
        raise StateError(
            "WA608",
            "the approval is for other arguments",
            where=f"approval {id!r}",
            found=f"expected the hash {waiting.arguments_hash}, found {given.get('hash')!r}",
            why="what is decided must be what was shown",
            fix=("look at it again",),
        )
    match verdict:
        case "approve":
            arguments = given.get("arguments")
            await approvals.approve(waiting, arguments=arguments, by=by)
        case "reject":
            reason = given.get("reason") or None
            if not isinstance(reason, str | None):
                raise wrong_option("reason", "a text", reason)
            await approvals.reject(waiting, reason, by=by)
        case "respond":
            await approvals.respond(waiting, given.get("answer"), by=by)
        case "resolve":
            await approvals.resolve(waiting, given.get("result"), by=by)
        case _:
            raise wrong_option("verdict", "approve, reject, respond or resolve", verdict)
    return {"done": True}


def _opened(ask: Ask, link: str) -> dict[str, Any]:
    try:
        said = cast("dict[str, Any]", json.loads(ask.engine.sealer.open(link)))
    except StoreError:
        raise Refused(403, "this is no link of this server") from None
    if said.get("until", 0) < ask.engine.clock.now_ms():
        raise Refused(410, "the time of this link has passed")
    return said


def _of(ask: Ask) -> AsyncApprovals:
    return AsyncApprovals(InProcess(ask.engine))


def _shown(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.id,
        "kind": approval.kind,
        "runId": approval.workflow_run_id,
        "workflow": approval.workflow,
        "agent": approval.agent,
        "tool": approval.tool,
        "description": approval.description,
        "arguments": approval.arguments,
        "hash": approval.arguments_hash,
        "schema": approval.schema,
        "asked": approval.asked_at,
        "deadline": approval.deadline,
        "approvers": approval.approvers,
        "approvedBy": [*approval.approved_by],
    }


routes = (
    Row("GET", "/api/approvals", listed),
    Row("POST", "/api/approvals", decide),
    Row("POST", "/api/approvals/link", link),
    Row("GET", "/api/linked", linked, public=True),
    Row("POST", "/api/linked", decide_linked, public=True),
)
