"""The little language of retry delays: "min(60000, pow(2, retried) * 1000)" milliseconds.

Theory. The text comes from users and from the wire, so it is data and never becomes code:
a tokenizer and a recursive descent parser know this grammar and nothing else.

    expression  = term {("+" | "-") term}
    term        = factor {("*" | "/" | "%") factor}
    factor      = ["-"] primary
    primary     = number | "retried" | function "(" expression {"," expression} ")"
                | "(" expression ")"

The parser writes the expression in postfix order, operands before their operator, so that
evaluation is one loop over a stack: at most `MAX_NODES` float operations, whatever is asked.

All arithmetic is on floats, by their standard (IEEE 754): what grows too large becomes
infinite and goes on, so that `min(60000, pow(2, retried) * 500)` is right for ever. What has
no value (0/0, a division by zero, sqrt(-1)) is refused by `parse` if it happens in an early
retry, and is the longest delay where it only happens later. `%` has the sign of its left
side and `round` takes halves away from zero, as in C, Go and JavaScript's `%`.

Nothing here sleeps, reads a clock or draws a random number.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from workflow_agents.core.retry import MAX_DELAY_MS
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import duration_ms

MAX_LENGTH = 256
MAX_DEPTH = 32
MAX_NODES = 128

_TRIED_AT_PARSE = (0, 1, 5)
"""The values of `retried` for which `parse` demands that there is a result."""

_DURATION = re.compile(r"(?:[0-9]{1,9}[smhd]){1,4}", re.ASCII)

Node = float | str | tuple[str, int]
"""A number, the variable "retried", or an operator with how many operands it takes."""


class _Undefined(Exception):
    """The expression has no value: a division by zero, a root of a negative number."""


@dataclass(frozen=True, slots=True)
class DelayExpression:
    """A parsed retry delay; make one with `DelayExpression.parse`.

    Attributes:
        text: the expression as it was written.
        nodes: the same in postfix order.
    """

    text: str
    nodes: tuple[Node, ...] = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "DelayExpression":
        """Read an expression.

        Args:
            text: numbers, `retried` (0 for the first retry), + - * / % ( ), and the functions
                pow sqrt abs exp floor ceil round min max; its value is milliseconds. Or a
                duration with units, as "5m".

        Raises:
            ConfigurationError: WA104, with the column, where it is not in the grammar, is too
                long or too deep, or has no value for an early retry.

        Source: `Upstash-Retry-Delay`; `%`, and `min` and `max` of more than two, are ours.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise ConfigurationError(
                "WA104",
                "not a retry-delay expression: it is text",
                found=f"expected text, found {text!r}"[:200],
                fix=('write "1000", for a second',),
            )
        # The reference of the REST API writes "5m" where its guides write an expression.
        if _DURATION.fullmatch(text):
            return cls(text, (float(duration_ms(text)),))
        return cls(text, _nodes_of(text))

    def delay_ms(self, retried: int) -> int:
        """The delay before a retry.

        Args:
            retried: how many retries were made before this one, from 0.

        Returns:
            Milliseconds from 0 to `MAX_DELAY_MS`: a negative result is 0, one that is too
            large or has no value the longest delay.
        """
        try:
            ms = _evaluate(self.nodes, retried)
        except _Undefined:
            return MAX_DELAY_MS
        return round(min(max(ms, 0.0), float(MAX_DELAY_MS)))

    def __reduce__(self) -> tuple[object, ...]:
        return DelayExpression.parse, (self.text,)


# Evaluation.
def _evaluate(nodes: tuple[Node, ...], retried: int) -> float:
    stack: list[float] = []
    for node in nodes:
        if isinstance(node, tuple):
            name, count = node
            operands = stack[-count:]
            del stack[-count:]
            stack.append(_apply(name, operands))
        elif isinstance(node, str):
            stack.append(float(min(retried, _MOST_RETRIED)))
        else:
            stack.append(node)
    return stack[0]


_MOST_RETRIED = 10**15  # exact as a float; no int can be too large to become one


def _apply(name: str, operands: list[float]) -> float:
    rule = _FUNCTIONS.get(name)
    result = (rule.apply if rule else _OPERATORS[name, len(operands)])(*operands)
    if math.isnan(result):
        raise _Undefined(f"{_told(name, operands)} has no value")
    return result


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise _Undefined(f"{left:g} is divided by zero")
    return left / right


def _modulo(left: float, right: float) -> float:
    if right == 0:
        raise _Undefined(f"{left:g} is divided by zero")
    return math.nan if math.isinf(left) else math.fmod(left, right)


def _pow(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and math.fmod(exponent, 2) else math.inf
    except ValueError:  # 0 to a negative power, a root of a negative number
        return math.nan


def _sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _floor(value: float) -> float:
    return value if math.isinf(value) else float(math.floor(value))


def _ceil(value: float) -> float:
    return value if math.isinf(value) else float(math.ceil(value))


def _round(value: float) -> float:
    if math.isinf(value):
        return value
    whole = float(math.trunc(value))
    return whole + math.copysign(1, value) if abs(value - whole) >= 0.5 else whole


@dataclass(frozen=True, slots=True)
class _Rule:
    """A function and how many arguments it takes."""

    apply: Callable[..., float]
    least: int = 2
    most: int = 2


_OPERATORS: dict[tuple[str, int], Callable[..., float]] = {
    ("+", 2): float.__add__,
    ("-", 2): float.__sub__,
    ("*", 2): float.__mul__,
    ("/", 2): _divide,
    ("%", 2): _modulo,
    ("-", 1): float.__neg__,
}
_FUNCTIONS: dict[str, _Rule] = {
    "pow": _Rule(_pow),
    "sqrt": _Rule(_sqrt, 1, 1),
    "abs": _Rule(float.__abs__, 1, 1),
    "exp": _Rule(_exp, 1, 1),
    "floor": _Rule(_floor, 1, 1),
    "ceil": _Rule(_ceil, 1, 1),
    "round": _Rule(_round, 1, 1),
    "min": _Rule(min, 2, MAX_NODES),
    "max": _Rule(max, 2, MAX_NODES),
}


def _told(name: str, operands: list[float]) -> str:
    values = [f"{value:g}" for value in operands]
    return f"{name}({', '.join(values)})" if name.isalpha() else f" {name} ".join(values)


# Parsing.
_TOKEN = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>[-+*/%(),])"
)
_SPACE = re.compile(r"[ \t]*")


@lru_cache(maxsize=256)
def _nodes_of(text: str) -> tuple["Node", ...]:
    """An expression, parsed and tried; few are written, and each is asked for at every step."""
    nodes = _Parser(text).parse()
    for retried in _TRIED_AT_PARSE:
        try:
            _evaluate(nodes, retried)
        except _Undefined as undefined:
            raise _refused(
                f"for retried = {retried}, {undefined}",
                text,
                fix='give it a value for every retry, as "1000 / (retried + 1)"',
            ) from None
    return nodes


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "number", "name", "sign", or "end"
    text: str
    column: int


class _Parser:
    """Reads one expression; `nodes` grows in postfix order while it goes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes: list[Node] = []
        self.tokens = self.tokenize()
        self.at = 0
        self.depth = 0

    def parse(self) -> tuple[Node, ...]:
        self.expression()
        if self.here.kind != "end":
            raise self.refused(f"expected an operator, found {self.here.text!r}")
        return tuple(self.nodes)

    def tokenize(self) -> list[_Token]:
        text = self.text
        if len(text) > MAX_LENGTH:
            raise _refused(f"it has {len(text)} characters, and at most {MAX_LENGTH} are read")
        tokens: list[_Token] = []
        at = _end_of_space(text, 0)
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found or not found.lastgroup:
                raise _refused(f"{text[at]!r} is not understood", text, at, _hint(text, at))
            tokens.append(_Token(found.lastgroup, found[0], at))
            at = _end_of_space(text, found.end())
        return [*tokens, _Token("end", "the end", len(text))]

    @property
    def here(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *signs: str) -> str:
        """Step over the next token if it is one of these signs; else return ""."""
        token = self.here
        if token.kind == "sign" and token.text in signs:
            self.at += 1
            return token.text
        return ""

    def demand(self, sign: str) -> None:
        if not self.take(sign):
            raise self.refused(f"expected {sign!r}, found {self.found}")

    @property
    def found(self) -> str:
        return "the end" if self.here.kind == "end" else repr(self.here.text)

    def emit(self, node: Node) -> None:
        if len(self.nodes) == MAX_NODES:
            raise _refused(
                f"it has more than {MAX_NODES} numbers and operations", self.text, self.here.column
            )
        self.nodes.append(node)

    def expression(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refused(f"it is nested more than {MAX_DEPTH} deep")
        self.term()
        while sign := self.take("+", "-"):
            self.term()
            self.emit((sign, 2))
        self.depth -= 1

    def term(self) -> None:
        self.factor()
        while sign := self.take("*", "/", "%"):
            self.factor()
            self.emit((sign, 2))

    def factor(self) -> None:
        if self.take("-"):
            self.primary()
            self.emit(("-", 1))
        else:
            self.primary()

    def primary(self) -> None:
        token = self.here
        if token.kind == "number":
            self.at += 1
            self.emit(float(token.text))
        elif token.kind == "name":
            self.at += 1
            self.name(token)
        elif self.take("("):
            self.expression()
            self.demand(")")
        else:
            raise self.refused(f"expected a number, `retried` or a function, found {self.found}")

    def name(self, token: _Token) -> None:
        if token.text == "retried":
            self.emit("retried")
            return
        rule = _FUNCTIONS.get(token.text)
        if rule is None:
            raise _refused(
                f"{token.text!r} is not known", self.text, token.column, _nearest(token.text)
            )
        self.demand("(")
        self.expression()
        count = 1
        while self.take(","):
            self.expression()
            count += 1
        self.demand(")")
        if not rule.least <= count <= rule.most:
            wants = f"{rule.least}" if rule.least == rule.most else f"{rule.least} or more"
            raise _refused(
                f"{token.text}() takes {wants} arguments, found {count}", self.text, token.column
            )
        self.emit((token.text, count))

    def refused(self, reason: str) -> ConfigurationError:
        return _refused(reason, self.text, self.here.column)


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


# Errors.
def _hint(text: str, at: int) -> str:
    if text.startswith("^", at):
        return "for a power write pow(2, retried)"
    return "" if text[at].isascii() else "write it with ASCII characters only"


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), ["retried", *_FUNCTIONS], 1, 0.6)
    known = f"use `retried` or one of {' '.join(_FUNCTIONS)}"
    return f"did you mean {near[0]!r}? Or {known}" if near else known


def _refused(
    reason: str, text: str | None = None, column: int | None = None, fix: str = ""
) -> ConfigurationError:
    found: list[str] = []
    if text is not None:
        start = max(0, (column or 0) - 40)
        shown = "".join(c if " " <= c <= "~" else "?" for c in text[start : start + 80])
        found.append(shown)
        if column is not None:
            found.append(" " * (column - start) + f"^ column {column + 1}")
    return ConfigurationError(
        "WA104",
        f"not a retry-delay expression: {reason}",
        where="" if column is None else f"column {column + 1}",
        found=found,
        fix=(fix,) if fix else (),
    )
