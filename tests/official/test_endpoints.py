"""The tables tell the truth: the tests that they name exist, and stories cover every feature."""

import ast
import re
from functools import cache

import pytest

from tests.official.endpoints import ENDPOINTS, Endpoint
from tests.official.processes import HERE
from tests.official.scenarios import FEATURES, SCENARIOS
from tests.official.test_scenarios import PLAYED

CHECK = re.compile(r'^  "([^"]+)": async|^await check\("([^"]+)"', re.M)


@cache
def names_in(file: str) -> set[str]:
    """The tests, stories or checks of a file."""
    text = (HERE / file).read_text(encoding="utf-8")
    if file.endswith(".mjs"):
        return {first or second for first, second in CHECK.findall(text)}
    return {
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_its_tests_exist(endpoint: Endpoint) -> None:
    assert endpoint.tests
    for test in endpoint.tests:
        file, _, name = test.partition("::")
        assert name in names_in(file), f"{file} has no {name!r}"


def test_no_endpoint_is_there_twice() -> None:
    keys = [(e.method, e.path) for e in ENDPOINTS]
    assert len(keys) == len(set(keys))


def test_stories_cover_every_feature() -> None:
    assert PLAYED
    covered = {name for scenario in SCENARIOS for name in scenario.covers}
    assert set(FEATURES) <= covered
    endpoints = covered - set(FEATURES)
    assert all("/v2/" in name for name in endpoints), endpoints
