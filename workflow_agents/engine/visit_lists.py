"""The lists of raw steps that visits bring, kept encoded: each element is encoded once.

A list only ever grows at its end, and a visit brings the beginning of it. What is kept is
bounded; the runs that were asked for least recently are let go, and read again when needed.
Source: protocol 1.2.
"""

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.raw_steps import raw_step

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_MOST_BYTES = 64 * 2**20
_PAGE = 1_000


@dataclass(slots=True)
class _List:
    """Elements, each with a comma behind it; the messages, and where the element of each ends."""

    text: bytearray = field(default_factory=bytearray)
    messages: list[int] = field(default_factory=list[int])
    ends: list[int] = field(default_factory=list[int])


class VisitLists:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._lists: OrderedDict[int, _List] = OrderedDict()
        self._size = 0

    def body(self, run: int, message: int) -> bytes:
        """The list of a run that ends with this message."""
        found = self._lists.pop(run, None) or _List()
        self._size -= len(found.text)
        if not found.messages or found.messages[-1] < message:
            self._read_on(run, found)
        self._lists[run] = found
        self._size += len(found.text)
        while self._size > _MOST_BYTES and self._lists:
            _, oldest = self._lists.popitem(last=False)
            self._size -= len(oldest.text)
        end = found.ends[bisect_right(found.messages, message) - 1]
        return b"[%b]" % memoryview(found.text)[: end - 1]

    def forget(self, run: int) -> None:
        """Nobody will ask for it any more."""
        found = self._lists.pop(run, None)
        if found is not None:
            self._size -= len(found.text)

    def _read_on(self, run: int, found: _List) -> None:
        reads = self._engine.store.messages
        id_of = self._engine.wire.messages.id_of
        while True:
            after = found.messages[-1] if found.messages else 0
            page = reads.remote.elements(run, after=after, limit=_PAGE)
            for row in page:
                if row.kind is MessageKind.TRIGGER and self._superseded(run):
                    continue
                found.text += raw_step(id_of(row.id), row.body) + b","
                found.messages.append(row.id)
                found.ends.append(len(found.text))
            if len(page) < _PAGE:
                return

    def _superseded(self, run: int) -> bool:
        """Whether an SDK has triggered the run again, as it was asked to."""
        return self._engine.store.messages.remote.said(run, 0, MessageKind.VISIT) is not None
