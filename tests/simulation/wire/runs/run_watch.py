"""What is watched while remote runs are visited."""

import base64
import json
from collections import Counter
from typing import Any

from tests.simulation.processes import Processes
from tests.simulation.scenario import Scenario
from tests.simulation.wire.records import Message
from tests.simulation.wire.watch import Watch
from workflow_agents.core.lifecycle import Phase
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.testing.faults import Faults


class RunWatch(Watch):
    """Watches the runs of a scenario.

    Attributes:
        bodies: how often each body ran, by (run id, step).
        canceled_runs: whose cancellation was acknowledged.
    """

    def __init__(
        self, scenario: Scenario, processes: Processes[DurableEngine], faults: Faults
    ) -> None:
        flows = {run.flow.key: run.flow for run in scenario.runs if run.flow is not None}
        super().__init__(scenario, processes, faults, queues={}, limits=flows)
        self.bodies: Counter[tuple[str, str]] = Counter()
        self.canceled_runs: set[str] = set()
        self._lists: dict[int, list[Any]] = {}
        self._keys: dict[tuple[str, str], str] = {}

    def unchanged(self, message: Message, request: HttpRequest) -> None:
        """A run that has ended is not visited (I10), and lists only grow (I11)."""
        self.fired[message.kind.name] += 1
        if message.kind is MessageKind.FAILURE_VISIT:
            return
        sql = "SELECT run_id, phase, input FROM runs WHERE id = ?"
        run_id, phase, payload = self._database.all(sql, message.run)[0]
        if run_id in self.canceled_runs:
            self.violated(f"run {run_id} is visited after its cancel (I10)", message.id)
        elif phase not in {Phase.REMOTE, Phase.CANCELED}:
            self.violated(f"run {run_id} is visited after its end (I10)", message.id)
        if message.kind in {MessageKind.VISIT, MessageKind.PLAN}:
            self._list(message, json.loads(request.body), payload or b"")

    def _list(self, message: Message, listed: list[Any], payload: bytes) -> None:
        known = self._lists.setdefault(message.run, [])
        if any(a != b for a, b in zip(known, listed, strict=False)):
            self.violated(f"its list is {listed}, and was {known} (I11)", message.id)
        if len(listed) > len(known):
            self._lists[message.run] = listed
        if payload and base64.b64decode(listed[0]["body"]) != payload:
            self.violated("another payload comes than was sent (I14)", message.id)

    def third_party_asked(self, request: HttpRequest, run_id: str) -> None:
        """Each attempt of a call comes under one key (P4)."""
        key = request.headers["Idempotency-Key"]
        if self._keys.setdefault((run_id, request.url), key) != key:
            self.problems.append(f"{request.url} is called under another key by {run_id} (P4)")
