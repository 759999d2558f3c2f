"""W8: one long conversation of an agent, whose requests repeat all that was said before.

A model server on loopback has the agent call a tool in every turn. The store should grow by what
is new: the prompt, the replies and the results of tools, each counted once.
"""

import os
import random
import sqlite3
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.adapter import Json
from workflow_agents import Agent, AsyncWorkflowContext, Engine, OpenAIModel, agent_workflow
from workflow_agents.testing.model_server import CallTools, RecordedRequest, Say, ScriptedModel

_EDGE = 10
_ENVELOPE_BYTES = 430  # what a reply holds besides its text
_SYLLABLES = [
    "ba",
    "de",
    "fi",
    "go",
    "ku",
    "la",
    "me",
    "ni",
    "po",
    "ru",
    "sa",
    "te",
    "vi",
    "wo",
    "xu",
    "ya",
    "ze",
    "chi",
    "dra",
    "quo",
]


class Words:
    """Text that reads like text: distinct lines of common and rare words."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        draw = self._random.choice
        self._words = ["".join(draw(_SYLLABLES) for _ in range(1 + n % 4)) for n in range(4_000)]

    def text(self, length: int) -> str:
        """So many characters."""
        lines: list[str] = []
        size = 0
        while size < length:
            words = self._random.choices(self._words, k=12)
            words[3] = f'"{words[3]}"' if self._random.random() < 0.1 else words[3]
            lines.append(" ".join(words).capitalize() + ".")
            size += len(lines[-1]) + 1
        return "\n".join(lines)[:length]


def _bytes_written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


async def converse(folder: str, parameters: dict[str, int]) -> Json:
    """Have the conversation; what it took, and what it left in the store."""
    path = os.path.join(folder, "conversation.db")
    turns, words = parameters["turns"], Words(8)
    prompt = words.text(parameters["prompt_bytes"])
    results = [words.text(parameters["result_bytes"] * (50 + n % 101) // 100) for n in range(turns)]
    told = [words.text(40) for _ in range(turns)]
    at: list[float] = []
    stored: list[int] = []
    written: list[int] = []
    replied = 0

    async def look_up(page: int) -> str:
        """Look a page up.

        Args:
            page: its number.
        """
        at.append(time.perf_counter())
        written.append(_bytes_written())
        if page == turns // 2:
            stored.append(_store_bytes(path))
        return results[page]

    def reply(request: RecordedRequest) -> Any:
        nonlocal replied
        turn = sum(message["role"] == "tool" for message in request.messages)
        request.messages.clear()  # a hundred of them would be most of the memory
        if turn == turns:
            return Say("It is done.", usage=(1, 1))
        replied += len(told[turn]) + _ENVELOPE_BYTES
        return CallTools((("look_up", {"page": turn}),), told[turn], usage=(1, 1))

    with ScriptedModel() as server:
        server.when(lambda _request: True, reply, repeat=True)
        engine = Engine(path)

        @engine.workflow("/conversation")
        async def conversation(context: AsyncWorkflowContext[Json]) -> str:
            agent = Agent(
                model=OpenAIModel("scripted", base_url=server.base_url, api_key="none"),
                name="reader",
                tools=[look_up],
                max_steps=turns + 1,
            )
            task = agent_workflow(context).task(
                agent=agent, prompt=context.request_payload["prompt"]
            )
            return (await task.run()).text

        async with engine:
            stored.append(_store_bytes(path))
            run = await engine.client.trigger(conversation, {"prompt": prompt})
            assert await run.result() == "It is done."
            stored.append(_store_bytes(path))
    unique = len(prompt.encode()) + replied + sum(len(result.encode()) for result in results)
    gaps = [(b - a) * 1e3 for a, b in pairwise(at)]
    steps = [b - a for a, b in pairwise(written)]
    first, last = _middle(gaps[:_EDGE]), _middle(gaps[-_EDGE:])
    before, half, end = stored
    return {
        "store_over_unique": (end - before) / unique,
        "store_mb": (end - before) / 1e6,
        "unique_mb": unique / 1e6,
        "bytes_a_turn": (end - half) / (turns - turns // 2),
        "second_half": (end - half) / (half - before),
        "first_ms": first,
        "last_ms": last,
        "growth": last / first,
        "written_first": _middle(steps[:_EDGE]),
        "written_last": _middle(steps[-_EDGE:]),
    }


def _middle(values: list[Any]) -> float:
    return sorted(values)[len(values) // 2]


def _store_bytes(path: str) -> int:
    db = sqlite3.connect(path)
    try:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
        return (pages - free) * size
    finally:
        db.close()
