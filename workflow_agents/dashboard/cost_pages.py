"""The page of what models cost: by workflow and day, with budgets; and prices of one's own.

Budgets and prices are settings of the store: whoever opens it has them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from workflow_agents.agents.prices import Price, amount
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.dashboard.asking import Ask, Row, text_in
from workflow_agents.dashboard.spending import DAY_MS, DAYS, Ledger, Spent, plain
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.store.changes import Change
from workflow_agents.store.message_changes import KeepSetting

_BUDGETS, _PRICES = "budgets", "prices"
_MOST = 1_000


def own_prices(engine: DurableEngine) -> dict[str, Price]:
    """Prices that were set here, by model."""
    return {model: Price(*each) for model, each in _setting(engine, _PRICES).items()}


def routes(ledger: Ledger) -> tuple[Row, ...]:
    """The table, around what has been counted before."""

    async def costs(ask: Ask) -> Any:
        """What was spent of late, by workflow and day."""
        complete = ledger.count(own_prices(ask.engine))
        budgets = _setting(ask.engine, _BUDGETS)
        today = ask.engine.clock.now_ms() // DAY_MS
        days = range(today - DAYS + 1, today + 1)
        names = {name for name, _ in ledger.days} | {*budgets}
        return {
            "complete": complete,
            "days": [
                datetime.fromtimestamp(d * DAY_MS / 1000, UTC).date().isoformat() for d in days
            ],
            "workflows": [
                {
                    "workflow": name,
                    "budget": budgets.get(name),
                    "days": [_told(ledger.days.get((name, day))) for day in days],
                }
                for name in sorted(names)
            ],
            "models": [
                {"model": name, **_sum(ledger.models, name, days).told()}
                for name in sorted({name for name, _ in ledger.models})
            ],
            "prices": _setting(ask.engine, _PRICES),
        }

    async def budget(ask: Ask) -> Any:
        """Set how much a workflow may cost a day, or take that away: with null."""
        given = await ask.body()
        workflow, usd = text_in(given, "workflow"), given.get("usd")
        kept = None if usd is None else plain(Decimal(str(amount(usd, "the budget"))))
        await _keep(ask.engine, _BUDGETS, workflow, kept)
        return {}

    async def price(ask: Ask) -> Any:
        """Set what a model costs, in US dollars for a million tokens, or take that away."""
        given = await ask.body()
        model = text_in(given, "model")
        kept = None
        if given.get("input") is not None or given.get("output") is not None:
            found = Price(given.get("input", 0), given.get("output", 0), given.get("cachedInput"))
            amounts = (found.input, found.output, found.cached_input)
            kept = [None if each is None else plain(Decimal(str(each))) for each in amounts]
        await _keep(ask.engine, _PRICES, model, kept)
        ledger.forget()
        return {}

    return (
        Row("GET", "/api/costs", costs),
        Row("POST", "/api/costs/budget", budget),
        Row("POST", "/api/costs/price", price),
    )


def _told(spent: Spent | None) -> dict[str, Any] | None:
    return None if spent is None else spent.told()


def _sum(of: Mapping[tuple[str, int], Spent], name: str, days: range) -> Spent:
    total = Spent()
    for day in days:
        if (spent := of.get((name, day))) is not None:
            total.join(spent)
    return total


def _setting(engine: DurableEngine, name: str) -> dict[str, Any]:
    return json.loads(engine.store.messages.setting(name) or "{}")


async def _keep(engine: DurableEngine, name: str, key: str, value: Any) -> None:
    kept = _setting(engine, name) | {key: value}
    kept = {key: value for key, value in kept.items() if value is not None}
    if len(kept) > _MOST:
        raise wrong_option(name, f"at most {_MOST} of them", len(kept))
    await engine.commits.store(Change((KeepSetting(name, json.dumps(kept)),)))
