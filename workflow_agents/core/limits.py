"""How large and how many: the limits of one engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused, each with an error that names the size, the limit and the way out.

    Attributes:
        payload_bytes: of a run's input and of an event's data.
        result_bytes: of one step's result, of a called service's answer, of a run's result.
        steps: of one run.
        name_characters: of a step's name, an event id, a run id.
        invoke_depth: how deep runs may invoke runs. Source: protocol 4.6.
        recoveries: how often a run may end its process without making progress.
        concurrent_deliveries: how many messages of a server are on their way at the same time.
    """

    payload_bytes: int = 10 * 2**20
    result_bytes: int = 10 * 2**20
    steps: int = 100_000
    name_characters: int = 1_024
    invoke_depth: int = 100
    recoveries: int = 10
    concurrent_deliveries: int = 500
