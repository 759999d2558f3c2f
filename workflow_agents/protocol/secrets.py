"""A header value that is named, not held."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Secret:
    """A header value that is read from the environment at the moment of the call.

    The store and the logs hold the name only. `Secret("OPENAI_API_KEY", prefix="Bearer ")`
    as the value of an `authorization` header is the usual form.

    Attributes:
        env: the environment variable, read by the engine that makes the call.
        prefix: what goes before the value.
    """

    env: str
    prefix: str = ""
