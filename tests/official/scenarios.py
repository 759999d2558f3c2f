"""The list of scenarios: each is a coroutine that plays one story on a stage.

`@scenario("run", ...)` names the kinds of steps, options or endpoints that it covers; the tables
of `endpoints.py` and the documentation are made of these names.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.official.site import JS_FRAMEWORKS, Stage

Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """A story, what it covers, and the frameworks it is played with."""

    name: str
    play: Play
    covers: tuple[str, ...]
    frameworks: tuple[str, ...]


SCENARIOS: list[Scenario] = []


def scenario(*covers: str, frameworks: tuple[str, ...] = JS_FRAMEWORKS) -> Callable[[Play], Play]:
    """Put a story into the list."""

    def put(play: Play) -> Play:
        SCENARIOS.append(Scenario(play.__name__, play, covers, frameworks))
        return play

    return put
