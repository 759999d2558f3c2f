"""Every story, with every framework that it is for."""

import pytest

from tests.official.cohort import Outcomes, name_of
from tests.official.scenarios import SCENARIOS, Scenario
from tests.official.stories import (  # noqa: F401
    agents,
    children,
    events,
    failures,
    options,
    python_sdk,
    steps,
)

PLAYED = [(scenario, framework) for scenario in SCENARIOS for framework in scenario.frameworks]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("scenario", "framework"), PLAYED, ids=[name_of(*played) for played in PLAYED]
)
def test_scenario(scenario: Scenario, framework: str, outcomes: Outcomes) -> None:
    outcome = outcomes[name_of(scenario, framework)]
    if outcome:
        pytest.fail(outcome, pytrace=False)
