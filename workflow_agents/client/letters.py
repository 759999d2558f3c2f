"""`client.dlq`: runs that failed for good, and what can be done with them.

letter = (await client.dlq.list(label="vip"))[0]
run = await client.dlq.resume(letter.dlq_id)
runs = await client.dlq.restart_many(where={"workflow": "/orders"}, retries=5)
"""

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from workflow_agents.client.runs import AsyncRunHandle
from workflow_agents.core.backend import Backend, Letter
from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.core.options import RunOptions
from workflow_agents.core.selection import RunFilters, Selection, checked_ids, checked_limit

if TYPE_CHECKING:
    from workflow_agents.core.dead_letters import DeadLetter, DeadLetterList
    from workflow_agents.core.logs import RunLog

_AGAIN = ("retries", "retry_delay", "flow_control", "label")
_KNOWN = (
    *("workflow", "failure_function_state", "response_status", "label", "flow_control_key"),
    *("caller_ip", "host", "path", "since", "until"),
)


class AsyncDeadLetters:
    """See the module."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def list(
        self,
        *,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        **filters: Unpack[RunFilters],
    ) -> "DeadLetterList":
        """The newest first.

        Args:
            before: the id of the last one seen; or
            cursor: of the list before.
            limit: how many at most.
            filters: workflow, failure_function_state, response_status, label, flow_control_key,
                caller_ip, host, path, since, until.
        """
        from workflow_agents.core.dead_letters import DeadLetterList

        which = self._which(filters, where="client.dlq.list")
        found, following = await self._backend.letters(
            which, before=before, cursor=cursor, limit=checked_limit(limit)
        )
        return DeadLetterList([_dead_letter(*one) for one in found], following)

    async def get(self, dlq_id: str) -> "DeadLetter":
        """One of them, with its run's steps."""
        return _dead_letter(*await self._backend.letter(dlq_id))

    async def resume(self, dlq_id: str, **options: Any) -> AsyncRunHandle:
        """A new run that begins with every step that this one had finished.

        Options: retries, retry_delay, flow_control, label.
        """
        return await self._again(dlq_id, options, resume=True)

    async def restart(self, dlq_id: str, **options: Any) -> AsyncRunHandle:
        """A new run with the same payload, from the top. Options as `resume`."""
        return await self._again(dlq_id, options, resume=False)

    async def resume_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
        **options: Any,
    ) -> builtins.list[AsyncRunHandle]:
        """Resume several: those that are named, those that fit all filters, or all.

        What was dealt with in the meantime is left out.

        Args:
            ids: of dead letters.
            where: filters, as those of `list`.
            all: every one there is.
            options: as `resume`.
        """
        return await self._again_many(ids, where, options, all=all, resume=True)

    async def restart_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
        **options: Any,
    ) -> builtins.list[AsyncRunHandle]:
        """Restart several. Arguments as `resume_many`."""
        return await self._again_many(ids, where, options, all=all, resume=False)

    async def retry_failure_function(self, dlq_id: str) -> None:
        """Call the failure function again, if it has failed."""
        await self._backend.retry_failure_function(dlq_id)

    async def delete(self, dlq_id: str) -> None:
        """Remove it; its run stays in the logs."""
        await self._backend.delete_letter(dlq_id)

    async def delete_many(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: RunFilters | None = None,
        all: bool = False,
    ) -> int:
        """Remove several; how many were. Arguments as `resume_many`."""
        return await self._backend.delete_letters(self._asked(ids, where, "delete_many", all=all))

    async def _again(self, dlq_id: str, options: dict[str, Any], *, resume: bool) -> AsyncRunHandle:
        done = await self._backend.again(dlq_id, _options(options), resume=resume)
        return AsyncRunHandle(self._backend, done.run_id)

    async def _again_many(
        self,
        ids: Sequence[str] | None,
        where: RunFilters | None,
        options: dict[str, Any],
        *,
        all: bool,
        resume: bool,
    ) -> builtins.list[AsyncRunHandle]:
        which = self._asked(ids, where, "resume_many" if resume else "restart_many", all=all)
        done = await self._backend.again_many(which, _options(options), resume=resume)
        return [AsyncRunHandle(self._backend, one.run_id) for one in done]

    def _asked(
        self, ids: Sequence[str] | None, where: RunFilters | None, method: str, *, all: bool
    ) -> Selection:
        chosen = () if ids is None else checked_ids(ids, "ids")
        one_of_three(ids, where, all=all)
        if ids is not None and not chosen:
            return Selection(ids=("",))  # an empty list names nothing
        return self._which(where or {}, ids=chosen, where=f"client.dlq.{method}")

    def _which(self, filters: RunFilters, *, ids: tuple[str, ...] = (), where: str) -> Selection:
        given = dict(filters)
        if given.get("workflow") is not None:
            given["workflow"] = self._backend.destination(given["workflow"])
        return Selection.checked(given, _KNOWN, ids=ids, where=where)


def one_of_three(ids: object, where: object, *, all: bool) -> None:
    """Bulk verbs are told what they mean in one way: nothing is done to all by mistake.

    Raises:
        ConfigurationError: WA102.
    """
    if sum((ids is not None, bool(where), all)) != 1:
        given = {"ids": ids, "where": where, "all": all}
        raise wrong_option("ids", "either ids, or where={...}, or all=True", given)


def _options(options: dict[str, Any]) -> RunOptions:
    for name in options:
        if name not in _AGAIN:
            raise unknown_option(name, _AGAIN, "client.dlq")
    return RunOptions.checked(**options)


def _dead_letter(letter: Letter, log: "RunLog") -> "DeadLetter":
    from workflow_agents.core.dead_letters import DeadLetter

    return DeadLetter(
        letter.id,
        log.workflow_run_id,
        log.workflow,
        letter.at,
        log.failure or {},
        letter.callback,
        log,
        letter.caller_ip,
    )
