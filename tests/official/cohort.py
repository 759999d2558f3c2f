"""Scenarios are played side by side, since most of their time they wait.

All that were chosen are played in one go, on one site, by the first process that needs any: the
processes of a distributed test run share the outcomes through a file.
"""

import asyncio
import fcntl
import json
import traceback
from collections.abc import Sequence
from pathlib import Path

import httpx2

from tests.official.scenarios import Scenario
from tests.official.site import Site, Stage

AT_ONCE = 24
PATIENCE_S = 150
Outcomes = dict[str, str]


def name_of(scenario: Scenario, framework: str) -> str:
    return f"{framework}-{scenario.name}"


def play_once(folder: Path, chosen: Sequence[tuple[Scenario, str]]) -> Outcomes:
    """What came of each: "" if all went well, else what did not."""
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = folder / "outcomes.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcomes.exists():
            site = Site(folder / "site")
            try:
                told = asyncio.run(_play_all(site, chosen))
            finally:
                site.stop()
            outcomes.write_text(json.dumps(told), encoding="utf-8")
    return json.loads(outcomes.read_text(encoding="utf-8"))


async def _play_all(site: Site, chosen: Sequence[tuple[Scenario, str]]) -> Outcomes:
    places = asyncio.Semaphore(AT_ONCE)
    limits = httpx2.Limits(max_connections=100)
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
