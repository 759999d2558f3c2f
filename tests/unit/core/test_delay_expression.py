"""The language of retry delays: what it computes, and what it refuses."""

import pickle

import pytest

from workflow_agents.core.delay_expression import (
    MAX_DELAY_MS,
    MAX_DEPTH,
    MAX_LENGTH,
    DelayExpression,
)
from workflow_agents.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("1000", [1000, 1000, 1000]),
        ("1000 * (1 + retried)", [1000, 2000, 3000]),
        ("pow(2, retried) * 1000", [1000, 2000, 4000]),
        ("min(60000, pow(2, retried) * 500)", [500, 1000, 2000]),
        ("10 - 2 - 3", [5, 5, 5]),
        ("100 / 10 / 5", [2, 2, 2]),
        ("1 + 2 * 3", [7, 7, 7]),
        ("2 * -3 + 10", [4, 4, 4]),
        ("-(retried - 2)", [2, 1, 0]),
        ("17 % 5", [2, 2, 2]),
        ("-(-17 % 5)", [2, 2, 2]),
        ("round(0.5) + round(1.5) + round(2.5)", [6, 6, 6]),
        ("floor(2.9) + ceil(2.1) + abs(-1) + sqrt(16)", [10, 10, 10]),
        ("max(1, retried, .5) + min(5, 4, 3)", [4, 4, 5]),
        ("\t 1 + 1 ", [2, 2, 2]),
        ("-5", [0, 0, 0]),
        ("5m", [300_000] * 3),
        ("1h30m", [5_400_000] * 3),
        ("2d", [MAX_DELAY_MS] * 3),
        ("100000000", [MAX_DELAY_MS] * 3),
    ],
)
def test_values(text, delays):
    expression = DelayExpression.parse(text)

    assert [expression.delay_ms(retried) for retried in range(3)] == delays


def test_what_grows_too_large_goes_on_as_infinite():
    capped = DelayExpression.parse("min(60000, pow(2, retried) * 500)")
    shrinking = DelayExpression.parse("1000 / exp(retried)")
    negative = DelayExpression.parse("-pow(10, retried * 400)")
    odd = DelayExpression.parse("pow(-10, 400 * retried + 1)")

    assert capped.delay_ms(100_000) == 60_000
    assert shrinking.delay_ms(100_000) == 0
    assert [negative.delay_ms(1), odd.delay_ms(2)] == [0, 0]
    assert DelayExpression.parse("floor(exp(1000)) + round(exp(1000)) + ceil(1)").delay_ms(0) == (
        MAX_DELAY_MS
    )


@pytest.mark.parametrize(
    "text", ["1000 / (retried - 20)", "sqrt(10 - retried)", "7 % (20-retried)"]
)
def test_without_a_value_later_the_longest_delay_holds(text):
    assert DelayExpression.parse(text).delay_ms(20) == MAX_DELAY_MS


@pytest.mark.parametrize("text", ["pow(9,pow(9,9))", "pow(9,pow(9,pow(9,9)))", "exp(exp(exp(9)))"])
def test_towers_of_powers_end(text):  # with integers they would not
    assert DelayExpression.parse(text).delay_ms(10**500) == MAX_DELAY_MS


@pytest.mark.parametrize(
    ("text", "what", "column"),
    [
        ("", "found the end", 1),
        ("1 +", "found the end", 4),
        ("1 2", "expected an operator, found '2'", 3),
        ("--1", "found '-'", 2),
        ("+1", "found '+'", 1),
        ("1e308*10", "found 'e308'", 2),
        ("(1", "expected ')'", 3),
        ("1)", "found ')'", 2),
        ("1,2", "found ','", 2),
        ("2 ^ 3", "'^' is not understood", 3),
        ("2 ** 3", "found '*'", 4),
        ("٣", "'٣' is not understood", 1),
        ("\uff11", "is not understood", 1),
        ("1\x00", "is not understood", 2),
        ("1\n+1", "is not understood", 2),
        ("retries * 5", "'retries' is not known", 1),
        ("__import__(1)", "'__import__' is not known", 1),
        ("()", "found ')'", 2),
        ("(1).__class__", "'.' is not understood", 4),
        ("retried.real", "'.' is not understood", 8),
        ("pow", "expected '('", 4),
        ("pow(2)", "pow() takes 2 arguments, found 1", 1),
        ("1 + sqrt(1, 2)", "sqrt() takes 1 arguments, found 2", 5),
        ("min(1)", "min() takes 2 or more arguments, found 1", 1),
        ("min()", "found ')'", 5),
        ("retried(1)", "found '('", 8),
    ],
)
def test_what_is_not_in_the_grammar_is_refused_at_its_column(text, what, column):
    with pytest.raises(ConfigurationError) as refused:
        DelayExpression.parse(text)

    error = refused.value
    assert error.code == "WA104"
    assert what in error.what
    assert error.where == f"column {column}"
    assert error.found[1] == " " * (column - 1) + f"^ column {column}"


@pytest.mark.parametrize(
    "text",
    ["0/0", "1/retried", "1 % (retried - 5)", "sqrt(-1)", "pow(0, -1)", "pow(-1, .5)",
     "exp(1000) - exp(1000)", "exp(1000) * 0", "exp(1000) % 2"],
)  # fmt: skip
def test_without_a_value_in_an_early_retry_it_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"for retried = [015], "):
        DelayExpression.parse(text)


def test_limits():
    assert (
        DelayExpression.parse("(" * (MAX_DEPTH - 1) + "7" + ")" * (MAX_DEPTH - 1)).delay_ms(0) == 7
    )
    assert DelayExpression.parse("+".join("1" * 64)).delay_ms(0) == 64
    for text in (
        "(" * MAX_DEPTH + "7" + ")" * MAX_DEPTH,
        "abs(" * MAX_DEPTH + "7" + ")" * MAX_DEPTH,
        "(" * 10_000,
        "+".join("1" * 65),
        " " * MAX_LENGTH + "1",
        "1" * 100_000,
    ):
        with pytest.raises(ConfigurationError):
            DelayExpression.parse(text)


def test_the_caret_stands_under_the_fault_in_long_text():
    with pytest.raises(ConfigurationError) as refused:
        DelayExpression.parse("1 + " * 40 + "wrong")

    shown, caret = refused.value.found
    assert shown[caret.index("^") :] == "wrong"
    assert max(map(len, str(refused.value).splitlines())) <= 100


def test_names_that_are_nearly_right_are_suggested():
    with pytest.raises(ConfigurationError) as refused:
        DelayExpression.parse("Retries * 5")

    assert "did you mean 'retried'?" in refused.value.fix[0]


@pytest.mark.parametrize("text", [None, 1000, b"1000"])
def test_only_text_is_parsed(text):
    with pytest.raises(ConfigurationError, match="expected text"):
        DelayExpression.parse(text)


def test_expressions_are_values():
    one = DelayExpression.parse("1000 * retried")

    assert one == DelayExpression.parse("1000 * retried")
    assert hash(one) == hash(DelayExpression.parse("1000 * retried"))
    assert pickle.loads(pickle.dumps(one)).delay_ms(3) == 3000
    assert repr(one) == "DelayExpression(text='1000 * retried')"
