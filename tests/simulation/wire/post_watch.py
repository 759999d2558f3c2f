"""What is watched while posts are delivered: each arrives as it was published."""

import base64
import json
from typing import Any

from tests.simulation.processes import Processes
from tests.simulation.wire import records
from tests.simulation.wire.publishing import POST, SECRET, group_urls
from tests.simulation.wire.records import Message
from tests.simulation.wire.scenario import Post, Scenario
from tests.simulation.wire.watch import NO_ANSWER, Sent, Watch
from workflow_agents import FlowControl
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.testing.faults import Faults


class PostWatch(Watch):
    """Watches the posts of a scenario.

    Attributes:
        retried: posts whose dead letter is retried; their endpoints have healed.
    """

    def __init__(
        self, scenario: Scenario, processes: Processes[DurableEngine], faults: Faults
    ) -> None:
        limits = flows_of(scenario)
        super().__init__(scenario, processes, faults, queues=scenario.queues, limits=limits)
        self.retried: set[str] = set()
        self._posts = {post.name: post for post in scenario.all_posts}
        self._groups = scenario.groups

    def post_of(self, message: Message) -> Post:
        """The post that it was published with, or that it is about."""
        while message.source is not None:
            source = records.message(self._database, message.source)
            assert source is not None
            message = source
        name = message.spec.headers[POST]
        return next(
            p for p in self._posts.values() if name == ("content" if p.by_content else p.name)
        )

    def unchanged(self, message: Message, request: HttpRequest) -> None:
        """It arrives as it was published, byte for byte (I14)."""
        post = self.post_of(message)
        if (request.method, request.url) != ("POST", message.url):
            self.violated(f"it goes to {request.method} {request.url}", message.id)
        if message.group is not None:
            self.fired["to a group"] += 1
            if message.url not in group_urls(message.group, self._groups[message.group]):
                self.violated(f"{message.url} is not in {message.group}", message.id)
        if message.kind is MessageKind.PLAIN:
            expected = {"Content-Type": "application/octet-stream"}
            expected |= dict([SECRET, (POST, message.spec.headers[POST])])
            if expected.items() - request.headers.items():
                self.violated(f"headers {request.headers}, expected {expected} (I14)", message.id)
            if request.body != post.body:
                self.violated("another body is sent than was published (I14)", message.id)
        else:
            self._tells_of_its_source(message, post, json.loads(request.body))

    def _tells_of_its_source(self, message: Message, post: Post, told: dict[str, Any]) -> None:
        """A callback tells of the last answer, and of the message as it was sent."""
        assert message.source is not None
        last = self._last_answered(message.source)
        source = records.message(self._database, message.source)
        if last is None or source is None:
            self.violated("a callback tells of a message that has no answer", message.id)
            return
        answer = last.answer or NO_ANSWER
        expected = {
            "status": answer.status,
            "retried": last.retried,
            "maxRetries": source.attempts - 1,
            "sourceBody": base64.b64encode(post.body).decode(),
        }
        if answer is not NO_ANSWER:
            expected["body"] = base64.b64encode(answer.body).decode()
        if {name: told.get(name) for name in expected} != expected:
            self.violated(f"it tells {told}, expected {expected}", message.id)
        letters = records.letters(self._database).get(message.source, [])
        if message.kind is MessageKind.FAILURE_CALLBACK and [told.get("dlqId")] != [
            letter for letter, _ in letters
        ]:
            self.violated(f"it tells of {told.get('dlqId')}, not of {letters} (I12)", message.id)

    def _last_answered(self, row: int) -> Sent | None:
        return next((sent for sent in reversed(self.sent[row]) if sent.answer is not None), None)


def flows_of(scenario: Scenario) -> dict[str, FlowControl]:
    """The limits of all keys."""
    flows: list[FlowControl | None] = []
    for post in scenario.all_posts:
        flows += [
            post.flow,
            *(told.flow for told in (post.callback, post.failure_callback) if told),
        ]
    return {flow.key: flow for flow in flows if flow is not None}
