"""Requests that are what the protocol says, or nearly: one `Maker` draws one request.

Values come in two lists: what is right, and what is odd. How often odd ones are drawn is drawn
first, so that many requests are right as a whole and have an effect, and that others are wrong
in one place only. Ids are mostly those that the server has given out. Source: protocol 2, 4, 6.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from tests.fuzz import nasty
from tests.fuzz.json_text import spoiled, written
from tests.fuzz.known import Known
from tests.fuzz.world import ANSWERS, FAILING_WORKFLOWS

Pairs = list[tuple[str, str]]

_TYPES = ["Run", "SleepFor", "SleepUntil", "Notify", "CreateWebhook", "Call", "Wait", "Invoke", "x"]
_EVENTS = ["paid", "paid", "paid", "a/b", "evt_a1B2c3D4e5F6g7H", "é"]
_IN_LISTS = ("count", "cursor", "fromDate", "toDate", "label", "flowControlKey", "callerIp")
_IN_MESSAGES = (*_IN_LISTS, "host", "path", "url", "topicName", "queueName", "scheduleId")
_IN_RUNS = (
    *_IN_LISTS,
    "workflowUrl",
    "workflowUrlExactMatch",
    "workflowRunId",
    "workflowCreatedAt",
)

QUERIES: dict[str, Sequence[str]] = {
    "/v2/messages": (*_IN_MESSAGES, "messageIds"),
    "/v2/dlq": (*_IN_MESSAGES, "dlqIds", "responseStatus", "messageId", "source"),
    "/v2/events": (*_IN_MESSAGES, "messageId", "state"),
    "/v2/logs": (*_IN_MESSAGES, "messageIds", "state"),
    "/v2/workflows/runs": (*_IN_RUNS, "workflowRunIds", "cancel"),
    "/v2/workflows/dlq": (*_IN_RUNS, "dlqIds", "responseStatus", "failureFunctionState", "url"),
    "/v2/workflows/search": ("search", "state", "workflowUrl", "label", "count", "cursor"),
    "/v2/workflows": (*_IN_RUNS, "groupBy", "state", "messageId", "trimBody", "workflowRuns"),
    "/v2/flowControl": ("search", "parallelism", "rate", "period"),
}
"""Parameters by the beginning of the path; the longest that fits counts."""


class Maker:
    """Draws the parts of one request.

    Args:
        chance: of this request.
        known: what the server has given out.
        origin: of the sink.
    """

    def __init__(self, chance: random.Random, known: Known, origin: str) -> None:
        self.chance = chance
        self.oddness = chance.choice([0.0, 0.0, 0.05, 0.3])
        self._known = known
        self._origin = origin
        self._values: dict[str, Callable[[], str]] = {
            "count": lambda: self.of(["1", "2", "100"], nasty.NUMBERS),
            "cursor": lambda: self.known("cursor", nasty.CURSORS),
            "label": self.name,
            "flowControlKey": self.name,
            "topicName": self.name,
            "queueName": self.name,
            "callerIp": lambda: self.of(["127.0.0.1"], nasty.TEXTS),
            "host": lambda: self.of(["127.0.0.1", "a.test"], nasty.TEXTS),
            "path": lambda: self.of(["/ok", "/fails"], nasty.TEXTS),
            "url": self.url,
            "workflowUrl": self.workflow,
            "workflowUrlExactMatch": lambda: self.of(["true", "false"], nasty.FLAGS),
            "workflowRunId": lambda: self.known("run", nasty.RUN_IDS),
            "workflowRunIds": lambda: self.known("run", nasty.RUN_IDS),
            "workflowRuns": lambda: f"{self.known('run', nasty.RUN_IDS)}@{self.instant_ms()}",
            "workflowCreatedAt": self.instant_ms,
            "fromDate": self.instant_ms,
            "toDate": self.instant_ms,
            "scheduleId": lambda: self.known("schedule", nasty.NAMES),
            "messageId": lambda: self.known("message", nasty.MESSAGE_IDS),
            "messageIds": lambda: self.known("message", nasty.MESSAGE_IDS),
            "dlqIds": lambda: self.known("letter", nasty.LETTER_IDS),
            "responseStatus": lambda: self.of(["500", "489"], nasty.NUMBERS),
            "failureFunctionState": lambda: self.of(["CALLBACK_FAIL"], nasty.TEXTS),
            "source": lambda: self.of(["workflow"], nasty.TEXTS),
            "state": lambda: self.of(nasty.STATES[:-1], nasty.STATES),
            "groupBy": lambda: self.of(["workflowRunId"], nasty.TEXTS),
            "trimBody": lambda: self.of(["-1", "0", "3"], nasty.NUMBERS),
            "cancel": lambda: self.of(["true", "false"], nasty.FLAGS),
            "search": self.name,
            "parallelism": lambda: self.of(["1", "5", "true"], nasty.NUMBERS),
            "rate": lambda: self.of(["1", "100", "true"], nasty.NUMBERS),
            "period": lambda: self.of(["1", "60"], nasty.NUMBERS),
        }

    # Values.

    def of(self, right: Sequence[str], odd: Sequence[str]) -> str:
        """One of the right ones, or an odd one."""
        return self.chance.choice(odd if self.chance.random() < self.oddness else right)

    def sometimes(self, probability: float) -> bool:
        return self.chance.random() < probability

    def known(self, kind: str, odd: Sequence[str]) -> str:
        """An id that was given out."""
        given = self._known.of(kind)
        return self.of(given or odd, [*odd, *nasty.TEXTS])

    def name(self) -> str:
        return self.of(nasty.NAMES[:3], [*nasty.NAMES, *nasty.TEXTS])

    def url(self) -> str:
        return self.of([self._origin + path for path in ANSWERS], nasty.ODD_URLS)

    def workflow(self) -> str:
        """An address that answers as a workflow's endpoint."""
        path = "/workflow" if self.sometimes(0.7) else self.chance.choice(FAILING_WORKFLOWS)
        return self.of([self._origin + path], nasty.ODD_URLS)

    def instant_ms(self) -> str:
        return self.of(["0", "1735689600000", "4102444800000"], nasty.NUMBERS)

    # Parts of the target.

    def part(self, name: str, path: str) -> str:
        """What stands for a parameter of a path."""
        match name:
            case "destination" if path.startswith("/v2/trigger"):
                return self.workflow()
            case "destination":
                return self.name() if self.sometimes(0.15) else self.url()
            case "message_id":
                return self.known("message", nasty.MESSAGE_IDS)
            case "run_id":
                return self.known("run", nasty.RUN_IDS)
            case "dlq_id":
                return self.known("letter", nasty.LETTER_IDS)
            case "schedule_id":
                return self.known("schedule", nasty.NAMES)
            case "event" if self.sometimes(0.3):
                return f"{self.known('run', nasty.RUN_IDS)}/{self.of(_EVENTS, nasty.TEXTS)}"
            case "event" | "event_id":
                return self.of(_EVENTS, nasty.TEXTS)
            case "user":
                return self.of(["defaultUser"], nasty.TEXTS)
            case _:
                return self.name()

    def target(self, path: str, parts: dict[str, str]) -> bytes:
        """Path and query; a destination stands in it as it is."""
        text = path
        for name, value in parts.items():
            whole = name in {"destination", "event"}
            shown = value if whole and self.sometimes(0.8) else quoted(value)
            text = text.replace(f"{{{name}:path}}", shown).replace(f"{{{name}}}", shown)
        query = self.query(path)
        return as_bytes(f"{text}{'&' if '?' in text else '?'}{query}" if query else text)

    def query(self, path: str) -> str:
        fitting = max((p for p in QUERIES if path.startswith(p)), key=len, default="")
        names = list(QUERIES.get(fitting, ()))
        asked = self.chance.choices(names, k=self.chance.randrange(4)) if names else []
        pairs = [(name, self._values[name]()) for name in asked]
        if self.sometimes(0.05):
            pairs += [(name.lower(), value) for name, value in self.settings()]
        if self.sometimes(self.oddness / 3):
            pairs.append((self.chance.choice(nasty.TEXTS), self.chance.choice(nasty.TEXTS)))
        return "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs)

    # Headers.

    def settings(self) -> Pairs:
        """What configures a message."""
        of = self.of
        every: list[tuple[str, Callable[[], str]]] = [
            ("Method", lambda: of(["POST", "GET", "PUT"], nasty.METHODS)),
            ("Delay", lambda: of(["1s", "10m", "7d"], nasty.DURATIONS)),
            ("Not-Before", lambda: of(["1735689600", "4102444800"], nasty.INSTANTS)),
            ("Retries", lambda: of(["0", "1", "3"], nasty.NUMBERS)),
            ("Retry-Delay", lambda: of(nasty.EXPRESSIONS[:4], nasty.EXPRESSIONS)),
            ("Timeout", lambda: of(["5s", "30"], nasty.DURATIONS)),
            ("Callback", self.url),
            ("Callback-Retries", lambda: of(["0"], nasty.NUMBERS)),
            ("Callback-Forward-X-A", lambda: of(["1"], nasty.TEXTS)),
            ("Failure-Callback", self.url),
            ("Failure-Callback-Delay", lambda: of(["1s"], nasty.DURATIONS)),
            ("Deduplication-Id", lambda: of(["a", "b"], nasty.TEXTS)),
            ("Content-Based-Deduplication", lambda: of(["true"], nasty.FLAGS)),
            ("Flow-Control-Key", self.name),
            ("Flow-Control-Value", lambda: of(nasty.FLOW_VALUES[:4], nasty.FLOW_VALUES)),
            ("Label", lambda: of(["a", "a,b"], nasty.TEXTS)),
            ("Redact-Fields", lambda: of(nasty.REDACTIONS[:3], nasty.REDACTIONS)),
            ("Queue-Name", self.name),
            ("Header-Forward", lambda: of(["true"], nasty.FLAGS)),
            ("Forward-X-A", lambda: of(["1"], nasty.TEXTS)),
            ("Forward-Content-Length", lambda: of(["5"], nasty.NUMBERS)),
            ("Telemetry-Sdk", lambda: of(["a"], nasty.TEXTS)),
            ("", lambda: of(["a"], nasty.TEXTS)),
        ]
        drawn = self.chance.sample(every, self.chance.choice([0, 1, 2, 4]))
        pairs = [(f"Upstash-{name}", value()) for name, value in drawn]
        names = {name for name, _ in pairs}
        if "Upstash-Flow-Control-Key" in names and not self.sometimes(self.oddness):
            pairs.append(
                ("Upstash-Flow-Control-Value", of(nasty.FLOW_VALUES[:4], nasty.FLOW_VALUES))
            )
        return pairs

    def of_run(self, run_id: str, *, init: bool) -> Pairs:
        """What makes a message one of a run."""
        pairs = [
            ("Upstash-Workflow-RunId", run_id),
            ("Upstash-Workflow-Init", self.of([str(init).lower()], nasty.FLAGS)),
            ("Upstash-Workflow-Url", self.workflow()),
            ("Upstash-Workflow-Sdk-Version", "1"),
            ("Upstash-Feature-Set", self.of(nasty.FEATURES[:1], nasty.FEATURES)),
            ("Upstash-Forward-Upstash-Workflow-Sdk-Version", "1"),
        ]
        extra = [
            ("Upstash-Workflow-CallType", self.of(["step"], nasty.CALL_TYPES)),
            ("Upstash-Workflow-Unknown-Sdk", self.of(["true"], nasty.FLAGS)),
            ("Upstash-Workflow-Trigger-By-Sdk", "true"),
            ("Upstash-Forward-Upstash-Workflow-Invoke-Count", self.of(["1"], nasty.NUMBERS)),
        ]
        return [*pairs, *self.chance.sample(extra, int(self.sometimes(self.oddness)))]

    def new_run_id(self) -> str:
        return self.of([f"wfr_{self.chance.randrange(10**6)}"], nasty.RUN_IDS)

    def of_call(self, run_id: str, step: int) -> Pairs:
        """The headers of a call step. Source: protocol 4.3."""
        told = {"stepid": str(step), "stepname": "s", "steptype": "Call", "concurrent": "1"}
        return [
            *self.of_run(run_id, init=False),
            ("Upstash-Workflow-CallType", "toCallback"),
            ("Upstash-Retries", self.of(["0"], nasty.NUMBERS)),
            ("Upstash-Callback", self.workflow()),
            ("Upstash-Callback-Workflow-RunId", run_id),
            ("Upstash-Callback-Workflow-CallType", "fromCallback"),
            ("Upstash-Callback-Workflow-Init", "false"),
            ("Upstash-Callback-Workflow-Url", self.workflow()),
            ("Upstash-Callback-Forward-Upstash-Workflow-Callback", "true"),
            *((f"Upstash-Callback-Forward-Upstash-Workflow-{n}", v) for n, v in told.items()),
        ]

    # Bodies.

    def json(self, value: Any) -> bytes:
        """As the shape has it, or spoiled."""
        return as_bytes(written(spoiled(value, self.chance, self.oddness)))

    def text(self) -> bytes:
        return as_bytes(self.of(["", "hello", '{"a":1}', "é"], [*nasty.TEXTS, *nasty.JSON_LEAVES]))

    def step(self, kind: str | None = None) -> dict[str, Any]:
        """A plan or a result. Source: protocol 1.3."""
        number = self.chance.randrange(1, 6)
        step: dict[str, Any] = {
            "stepId": number,
            "stepName": self.of(["s", "t"], nasty.TEXTS),
            "stepType": kind or self.chance.choice(_TYPES),
            "out": self.of(['{"eventId":"paid"}', '"x"', "null"], nasty.TEXTS),
            "concurrent": 1,
            "sleepFor": 5,
        }
        if self.sometimes(0.2):
            step |= {"stepId": 0, "targetStep": number, "concurrent": 2, "waitEventId": "paid"}
        return step

    def delegated(self, kind: str) -> dict[str, Any]:
        """A step whose result the server is to add."""
        return {**self.step(kind), "stepId": self.chance.randrange(1, 20), "targetStep": 0}

    def wait(self) -> dict[str, Any]:
        """Source: protocol 4.4."""
        run_id, url = self.known("run", nasty.RUN_IDS), self.workflow()
        headers = {name: [value] for name, value in self.of_run(run_id, init=False)}
        return {
            "url": url,
            "timeout": self.of(["20s", "7d"], nasty.DURATIONS),
            "timeoutUrl": url,
            "timeoutHeaders": headers,
            "step": self.delegated("Wait"),
        }

    def invocation(self, run_id: str) -> dict[str, Any]:
        """Source: protocol 4.6."""
        return {
            "body": self.of(['{"a":1}', ""], nasty.TEXTS),
            "headers": {name: [value] for name, value in self.of_run(run_id, init=False)},
            "workflowRunId": run_id,
            "workflowRunCreatedAt": 1735689600000,
            "workflowUrl": self.workflow(),
            "step": {
                **self.step("Invoke"),
                "stepId": self.chance.randrange(1, 20),
                "targetStep": 0,
            },
        }

    def item(self) -> dict[str, Any]:
        """One of a batch: a message, or the beginning, a step or a call of a run."""
        run_id = self.known("run", nasty.RUN_IDS)
        match self.chance.randrange(6):
            case 0:
                pairs, body = self.of_run(self.new_run_id(), init=True), '{"a":1}'
                destination = self.workflow()
            case 1 | 2:
                pairs, body = self.of_run(run_id, init=False), json.dumps(self.step())
                destination = self.workflow()
            case 3:
                step = self.chance.randrange(1, 20)
                pairs, body, destination = self.of_call(run_id, step), "{}", self.url()
            case _:
                pairs, body = [], self.of(["hello"], nasty.TEXTS)
                destination = self.part("destination", "")
        headers = dict([*pairs, *self.settings()])
        queue = self.name() if self.sometimes(0.1) else None
        return {"destination": destination, "headers": headers, "body": body, "queue": queue}


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def as_bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate as the three bytes that no UTF-8 has."""
    return text.encode("utf-8", "surrogatepass")
