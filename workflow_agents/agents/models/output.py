"""How a model is told what shape its answer is to have, for all APIs.

Where a provider can hold a model to a schema it is asked to; where it cannot, or the schema is
of a kind that it does not take, the model is told in words. Whoever asked for the shape checks
the answer in any case.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from workflow_agents.agents.messages import ChatMessage, SystemMessage
from workflow_agents.agents.models.port import OutputSchema
from workflow_agents.agents.models.strict_schema import strict

OutputMode = Literal["json_schema", "json_object", "prompt"]
"""What a provider knows of shapes: schemas; that it is JSON; nothing."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")
_MAX_NAME = 64


def named_schema(output: OutputSchema) -> dict[str, Any] | None:
    """Name, schema and strictness as OpenAI's APIs take them; None for what is no object."""
    name = _NOT_IN_NAMES.sub("_", output.name)[:_MAX_NAME] or "answer"
    schema = strict(output.schema)
    if schema is not None:
        return {"name": name, "schema": schema, "strict": True}
    if output.schema.get("type") != "object":
        return None
    return {"name": name, "schema": dict(output.schema), "strict": False}


def in_words(output: OutputSchema) -> str:
    """The same for a model that is only told."""
    schema = json.dumps(dict(output.schema), ensure_ascii=False)
    return (
        "When you give your final answer, answer with JSON only, without any text or code fence "
        f"around it. It has to match this JSON schema: {schema}"
    )


def told(transcript: Sequence[ChatMessage], output: OutputSchema) -> list[ChatMessage]:
    """The transcript with the words at its beginning, after the background."""
    begins = next(
        (i for i, m in enumerate(transcript) if not isinstance(m, SystemMessage)), len(transcript)
    )
    words = SystemMessage(in_words(output))
    return [*transcript[:begins], words, *transcript[begins:]]
