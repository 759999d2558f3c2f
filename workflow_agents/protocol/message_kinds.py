"""What a message of the QStash protocol is for; a number in the store. Source: protocol 1.8."""

from enum import IntEnum


class MessageKind(IntEnum):
    """Why a message exists. The numbers are stored: never renumber."""

    PLAIN = 1
    """Published by somebody."""

    VISIT = 2
    """An element of a remote run, delivered to its endpoint with all before it."""

    CALL = 3
    """The request that a call step of a remote run makes of a third party."""

    CALL_ANSWER = 4
    """What came of such a request, delivered to the endpoint."""

    CALLBACK = 5
    """What came of a plain message."""

    FAILURE_CALLBACK = 6
    """That a plain message failed for good."""

    FAILURE_VISIT = 7
    """That a remote run failed, delivered to its failure function or address."""

    PLAN = 8
    """Likewise an element of a remote run: it announces a member of a parallel group."""

    TRIGGER = 9
    """Asks an endpoint to trigger the run again, as its SDK would. Source: protocol 3.4."""

    @property
    def call_type(self) -> str:
        """`callType` of raw steps and logs. Source: protocol 1.2."""
        return _CALL_TYPES.get(self, "step")


_CALL_TYPES = {
    MessageKind.CALL: "toCallback",
    MessageKind.CALL_ANSWER: "fromCallback",
    MessageKind.FAILURE_VISIT: "failureCall",
}
