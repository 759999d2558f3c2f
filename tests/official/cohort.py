"""Scenarios are played side by side, since most of their time they wait."""

import asyncio
import traceback
from collections.abc import Sequence

import httpx2

from tests.official.scenarios import Scenario
from tests.official.site import Site, Stage

AT_ONCE = 24
PATIENCE_S = 150
Outcomes = dict[str, str]


def name_of(scenario: Scenario, framework: str) -> str:
    return f"{framework}-{scenario.name}"


async def play_all(site: Site, chosen: Sequence[tuple[Scenario, str]]) -> Outcomes:
    """What came of each: "" if all went well, else what did not."""
    places = asyncio.Semaphore(AT_ONCE)
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=6)
    async with httpx2.AsyncClient(timeout=30, trust_env=False, limits=limits) as http:

        async def play(scenario: Scenario, framework: str) -> tuple[str, str]:
            async with places:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await scenario.play(Stage(site, framework, http))
                except Exception:
                    return name_of(scenario, framework), traceback.format_exc()
                return name_of(scenario, framework), ""

        return dict(await asyncio.gather(*(play(*one) for one in chosen)))
