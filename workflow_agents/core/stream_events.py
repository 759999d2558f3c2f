"""What a listener hears of a run while it runs: the words of streamed replies, as they are said.

These are passed on and never stored. What is durable is the whole reply, which is the result
of its step, and the feed entries that come in between.
"""

from dataclasses import dataclass

from workflow_agents.core.step_logs import FeedEntry
from workflow_agents.protocol.history import StepKey


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """A reply begins.

    Attributes:
        step: the key of the step that asked for it.
        name: of the step.
        attempt: 1.
    """

    step: StepKey
    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StreamRestarted:
    """A reply begins in a later attempt: what came of this step before, if anything, is void.

    Attributes:
        step: the key of the step that asked for it.
        name: of the step.
        attempt: from 2.
    """

    step: StepKey
    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The model says more.

    Attributes:
        step: the key of the step that asked for the reply.
        name: of the step.
        text: what is to be appended.
    """

    step: StepKey
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The model calls a tool, or goes on writing the arguments of a call.

    Attributes:
        step: the key of the step that asked for the reply.
        name: of the step.
        index: which of the reply's tool calls, from 0.
        call_id: the provider's id of the call.
        tool: the name of the tool.
        arguments: JSON text that is to be appended; "" where the call begins.
    """

    step: StepKey
    name: str
    index: int
    call_id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A reply has ended.

    Attributes:
        step: the key of the step that asked for it.
        name: of the step.
        ok: it is whole and stored. False: it broke off, and what came of it is void; the feed
            says whether and when it is tried again.
    """

    step: StepKey
    name: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class StreamGap:
    """The listener was too slow, and what it had not taken was thrown away.

    Replies that are open are told again from their beginning, each behind a `StreamRestarted`
    or `StreamStarted` of its own. Replies that ended meanwhile are in the feed, whole.

    Attributes:
        lost: how many events were thrown away.
    """

    lost: int


ReplyEvent = StreamStarted | StreamRestarted | TextDelta | ToolCallDelta | StreamEnded
"""What happens to one reply."""

StreamEvent = ReplyEvent | StreamGap | FeedEntry
"""What `handle.stream()` yields."""
