"""A limit of flow control, as users give it and as the wire writes it.

What follows from it for those who want to start is in `admission`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Self

from workflow_agents.core.checks import MAX_KEY_LENGTH
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import duration_ms, shown

MAX_PERIOD_MS = 7 * 86_400_000

_KEY = re.compile(r"[a-zA-Z0-9_.-]+")
_PART = re.compile(r"([A-Za-z]+) *= *([A-Za-z0-9.]+)")


@dataclass(frozen=True, slots=True)
class FlowControl:
    """A limit that all steps, runs and messages with the same key share.

    FlowControl("openai", rate=10, period="1m", parallelism=3)

    Attributes:
        key: letters, digits and - _ . up to 256 of them.
        rate: how many may start in a period; None: any number.
        period: seconds, a timedelta, or text as "1m"; whole seconds, at most a week.
        parallelism: how many may run at the same time; None: any number.
        period_ms: the period in milliseconds.

    Raises:
        ConfigurationError: WA504 for the key, WA105 for the rest.

    Source: `Upstash-Flow-Control-Key` and `Upstash-Flow-Control-Value`.
    """

    key: str
    rate: int | None = None
    period: int | float | str | timedelta = field(default="1s", compare=False)
    parallelism: int | None = None
    period_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_key(self.key)
        _check_count("rate", self.rate)
        _check_count("parallelism", self.parallelism)
        if self.rate is None and self.parallelism is None:
            raise ConfigurationError(
                "WA105",
                "flow control needs a rate or a parallelism",
                found=f"key={self.key!r} only",
            )
        object.__setattr__(self, "period_ms", _period_ms(self.period))

    def to_value(self) -> str:
        """The limits as the wire writes them: "parallelism=3,rate=10,period=60s"."""
        parts: list[str] = []
        if self.parallelism is not None:
            parts.append(f"parallelism={self.parallelism}")
        if self.rate is not None:
            parts += [f"rate={self.rate}", f"period={self.period_ms // 1000}s"]
        return ",".join(parts)

    @classmethod
    @lru_cache(1024)  # each message, run and visit names its limits in full
    def from_value(cls, key: str, value: str) -> Self:
        """Read the limits as the wire writes them.

        Args:
            key: of the limit; it has a header of its own.
            value: "parallelism=3, rate=10, period=1m", in any order, spaces allowed;
                `ratePerSecond` is an old name of `rate`.

        Raises:
            ConfigurationError: WA504 for the key, WA105 for the rest.
        """
        found: dict[str, str] = {}
        for text in value[:_MAX_VALUE].split(","):
            part = _PART.fullmatch(text.strip())
            name = {"ratePerSecond": "rate"}.get(part[1], part[1]) if part else ""
            if not part or name not in ("parallelism", "rate", "period") or name in found:
                why = "is given twice" if name in found else "is not understood"
                raise _unusable_value(value, f"{shown(text.strip())} {why}")
            found[name] = part[2]
        if len(value) > _MAX_VALUE:
            raise _unusable_value(value, f"it has more than {_MAX_VALUE} characters")
        return cls(
            key,
            rate=_read_count(value, "rate", found.get("rate")),
            period=found.get("period", "1s"),
            parallelism=_read_count(value, "parallelism", found.get("parallelism")),
        )


def with_pinned(
    given: FlowControl | None, kept: FlowControl | None, pinned: frozenset[str]
) -> FlowControl | None:
    """The limits that are asked for, but for those that are pinned: these stay as they are.

    Args:
        given: what is asked for; None: nothing.
        kept: the limits that hold the pinned ones; None: there are none.
        pinned: "parallelism", "rate" (with its period), or both.
    """
    if kept is None or not pinned:
        return given
    asked = given or kept
    rate_of = kept if "rate" in pinned else asked
    parallelism = (kept if "parallelism" in pinned else asked).parallelism
    if rate_of.rate is None and parallelism is None:
        return given
    return FlowControl(
        kept.key,
        rate=rate_of.rate,
        period=timedelta(milliseconds=rate_of.period_ms),
        parallelism=parallelism,
    )


_MAX_VALUE = 256


def _check_key(key: object) -> None:
    if isinstance(key, str) and len(key) <= MAX_KEY_LENGTH and _KEY.fullmatch(key):
        return
    raise ConfigurationError(
        "WA504",
        f"a flow-control key has 1 to {MAX_KEY_LENGTH} letters, digits and - _ .",
        found=f"key={shown(key)}",
    )


def _check_count(name: str, count: object) -> None:
    if count is None or (isinstance(count, int) and not isinstance(count, bool) and count > 0):
        return
    raise ConfigurationError(
        "WA105",
        f"the {name} of flow control is a whole number from 1",
        found=f"{name}={shown(count)} ({type(count).__name__})",
    )


def _period_ms(period: int | float | str | timedelta) -> int:
    try:
        ms = duration_ms(period)
    except ConfigurationError as error:
        raise _unusable_period(error.found) from error
    if ms % 1000 or not 1000 <= ms <= MAX_PERIOD_MS:
        raise _unusable_period((f"period={shown(period)}",))
    return ms


def _unusable_period(found: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        "WA105",
        "the period of flow control is 1 s to 7 d, in whole seconds",
        found=found,
        fix=('period="1m"', 'for 10 in half a second, write rate=20, period="1s"'),
    )


def _read_count(value: str, name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _unusable_value(value, f"{name}={shown(text)} is no whole number")
    return int(text)


def _unusable_value(value: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        "WA105",
        f"flow control: {reason}",
        found=shown(value),
        fix=("parallelism=3, rate=10, period=1m",),
    )
