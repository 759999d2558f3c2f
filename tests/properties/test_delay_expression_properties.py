"""Every expression of the grammar has the value that a plain evaluator gives it."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.retry import MAX_DELAY_MS
from workflow_agents.errors import ConfigurationError

few = settings(max_examples=200, deadline=None)

# Trees, and their reference.
numbers = st.decimals(0, 10_000, places=2).map(str) | st.integers(0, 100).map(str)
leaves = st.one_of(numbers.map(lambda text: ("number", text)), st.just(("retried",)))


def grown(inner):
    return st.one_of(
        st.tuples(st.sampled_from("+-*/%"), inner, inner),
        st.tuples(st.just("negative"), inner),
        st.tuples(st.just("pow"), inner, inner),
        st.tuples(st.sampled_from(["sqrt", "abs", "exp", "floor", "ceil", "round"]), inner),
        st.builds(lambda name, args: (name, *args), st.sampled_from(["min", "max"]),
                  st.lists(inner, min_size=2, max_size=3)),
    )  # fmt: skip


trees = st.recursive(leaves, grown, max_leaves=8)


def written(tree) -> str:
    match tree:
        case ("number", text):
            return text
        case ("retried",):
            return "retried"
        case ("negative", part):
            return f"(-({written(part)}))"
        case (name, *parts) if name.isalpha():
            return f"{name}({','.join(map(written, parts))})"
        case (sign, left, right):
            return f"({written(left)} {sign} {written(right)})"
    raise AssertionError(tree)


class NoValue(Exception):
    pass


def half_away(x):
    size = math.floor(abs(x))
    return math.copysign(size + (abs(x) - size >= 0.5), x)


def power(a, b):
    try:
        return a**b
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf


def exponential(a):
    return math.inf if a > 710 else math.exp(a)


def on_finite(rule):
    return lambda a: float(rule(a)) if math.isfinite(a) else a


RULES = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": math.fmod,
    "negative": lambda a: -a,
    "pow": power,
    "sqrt": math.sqrt,
    "abs": abs,
    "exp": exponential,
    "floor": on_finite(math.floor),
    "ceil": on_finite(math.ceil),
    "round": on_finite(half_away),
    "min": min,
    "max": max,
}


def reference(tree, retried) -> float:
    match tree:
        case ("number", text):
            return float(text)
        case ("retried",):
            return float(retried)
        case (name, *parts):
            try:
                value = RULES[name](*(reference(part, retried) for part in parts))
            except (ZeroDivisionError, ValueError):
                raise NoValue from None
            if isinstance(value, complex) or math.isnan(value):
                raise NoValue
            return value
    raise AssertionError(tree)


def has_value(tree, retried) -> bool:
    try:
        reference(tree, retried)
    except NoValue:
        return False
    return True


def attempted(text):
    """The expression and None, or None and why it was refused."""
    try:
        return DelayExpression.parse(text), None
    except ConfigurationError as error:
        return None, error


def reference_ms(tree, retried) -> int:
    try:
        value = reference(tree, retried)
    except NoValue:
        return MAX_DELAY_MS
    if value >= MAX_DELAY_MS:
        return MAX_DELAY_MS
    return round(value) if value > 0 else 0


@few
@given(trees, st.lists(st.integers(0, 1000), min_size=1, max_size=5))
def test_values_are_those_of_the_reference(tree, retries):
    text = written(tree)
    expression, refused = attempted(text)

    if expression:
        for retried in retries:
            assert expression.delay_ms(retried) == reference_ms(tree, retried), text
    elif "for retried" in refused.what:
        assert not all(has_value(tree, retried) for retried in (0, 1, 5)), text
    else:  # the tree is fine, so it is a limit of the text
        assert "more than" in refused.what or "at most" in refused.what


@few
@given(st.lists(st.tuples(st.sampled_from("+-*/%"), st.integers(1, 9)), max_size=20))
def test_precedence_is_that_of_python(parts):
    # All operands are positive, so that Python's % agrees up to where it meets a minus.
    text = "9" + "".join(f" {sign} {number}" for sign, number in parts)

    assert DelayExpression.parse(text).delay_ms(0) == max(0, round(eval(text)))


soup = st.lists(
    st.sampled_from(
        [*"+-*/%(),. \t\n10x٣\x00\ud800'\"", "retried", "pow", "min", "sqrt", "2.5", "1e9", "**"]
    ),
    max_size=25,
).map("".join)


@few
@given(soup | st.text(max_size=300), st.integers(0, 10**30))
def test_any_text_is_read_or_refused(text, retried):
    expression, refused = attempted(text)

    if refused:
        assert refused.code == "WA104"
        assert max(map(len, str(refused).splitlines())) <= 130
    else:
        assert 0 <= expression.delay_ms(retried) <= MAX_DELAY_MS
