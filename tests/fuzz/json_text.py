"""JSON as text, so that it can be what no encoder writes. Used by `shapes`."""

import json
import random
from dataclasses import dataclass
from typing import Any

from tests.fuzz.nasty import JSON_LEAVES


@dataclass(frozen=True)
class Raw:
    """Stands for itself."""

    text: str


def written(value: Any) -> str:
    """Plain data, and `Raw` anywhere in it."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def spoiled(value: Any, chance: random.Random, oddness: float) -> Any:
    """The same shape, with parts that are missing, given twice or something else altogether."""
    if chance.random() < oddness * 0.3:
        return Raw(chance.choice(JSON_LEAVES))
    if isinstance(value, dict):
        kept = {
            name: spoiled(part, chance, oddness)
            for name, part in value.items()
            if chance.random() >= oddness * 0.1
        }
        if kept and chance.random() < oddness * 0.2:
            name = chance.choice(list(kept))
            return Raw(f"{written(kept)[:-1]},{json.dumps(name)}:{chance.choice(JSON_LEAVES)}}}")
        return kept
    if isinstance(value, list):
        parts = [spoiled(part, chance, oddness) for part in value]
        return parts * 2 if chance.random() < oddness * 0.1 else parts
    return value
