"""What the server has given out: ids and cursors, found in its answers by their names."""

import json
from collections import defaultdict, deque
from typing import Any

_KINDS = {
    "messageId": "message",
    "workflowRunId": "run",
    "dlqId": "letter",
    "scheduleId": "schedule",
    "cursor": "cursor",
}
_KEPT = 60


class Known:
    """The latest ids of each kind."""

    def __init__(self) -> None:
        self._found: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def of(self, kind: str) -> list[str]:
        return list(self._found[kind])

    def learn(self, body: bytes) -> None:
        """Read an answer; at most its beginning, where it is long."""
        try:
            waiting: list[Any] = [json.loads(body)]
        except ValueError:
            return
        for _ in range(500):
            if not waiting:
                return
            item = waiting.pop()
            if isinstance(item, list):
                waiting += item[:20]
            elif isinstance(item, dict):
                waiting += item.values()
                for name, value in item.items():
                    kind = _KINDS.get(name)
                    if kind and isinstance(value, str) and value not in self._found[kind]:
                        self._found[kind].append(value)
