"""Metrics for Prometheus: an ASGI app, and what it collects.

Counts come from the store when somebody asks, in a thread and beside all writing: see `tally`.
Only what no store knows is measured where it happens: how long commits and requests take.
Source: https://prometheus.io/docs/practices/naming/
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import ConfigurationError, StoreError
from workflow_agents.operations.mounting import (
    HasCore,
    Receive,
    Scope,
    Send,
    answer,
    core_of,
    may_ask,
    refuse,
    refuse_stranger,
)
from workflow_agents.operations.tally import COUNTED, MEASURED, OVERDUE_MS, PREFIX, Sample, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_CHANGES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)


class Metrics:
    """Tells Prometheus of an engine: an ASGI app, to be mounted in yours.

    ```python
    app.mount("/metrics", Metrics(serve.engine, token="..."))
    ```

    Counters begin at 0 when the first of these is asked for the first time, or with `start`.

    Args:
        engine: whose metrics.
        token: is asked for as `Authorization: Bearer <token>`; None: anyone may read.

    Raises:
        ConfigurationError: WA108, prometheus-client is not installed.
    """

    def __init__(self, engine: DurableEngine | HasCore, *, token: str | None = None) -> None:
        try:
            from prometheus_client import CollectorRegistry, Histogram
        except ImportError as error:
            raise ConfigurationError(
                "WA108",
                where="Metrics",
                found="not installed: prometheus-client",
                fix=("pip install 'workflow-agents[metrics]'",),
            ) from error
        self._given = engine
        self._token = token
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._histograms: dict[str, Histogram] = {
            metric.name: Histogram(
                PREFIX + metric.name,
                metric.help,
                metric.labels,
                registry=self._registry,
                buckets=_CHANGES if metric.name == "commit_changes" else _SECONDS,
            )
            for metric in MEASURED
            if metric.kind == "histogram"
        }
        self._tally: Tally | None = None
        self._samples: list[Sample] = []
        self._counting = asyncio.Lock()

    def start(self) -> None:
        """Count from now on; without it, from the first time that somebody asks."""
        core = core_of(self._given)
        if self._tally is None:
            self._tally = Tally(core.store.overview.last_seq(), core.recovered)
        core.commits.measured = self._committed

    async def text(self) -> bytes:
        """What Prometheus is told.

        Raises:
            StoreError: the store cannot be read.
        """
        from prometheus_client import generate_latest

        async with self._counting:
            await self._count()
            return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._histograms["http_request_seconds"].labels(method, route, str(status)).observe(seconds)

    def collect(self) -> Iterator[Any]:
        """What prometheus-client asks of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for metric in (*COUNTED, *MEASURED):
            if metric.kind == "histogram":
                continue
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = make(PREFIX + metric.name, metric.help, labels=metric.labels)
            for name, labels, value in self._samples:
                if name == metric.name:
                    family.add_metric([labels[label] for label in metric.labels], value)
            yield family

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await refuse(send, 405, "metrics are asked for with GET", (b"allow", b"GET, HEAD"))
        elif not may_ask(scope, self._token):
            await refuse_stranger(send)
        else:
            try:
                text = await self.text()
            except StoreError as error:
                await refuse(send, 503, error.what)
            else:
                await answer(send, 200, text, CONTENT_TYPE)

    def _committed(self, changes: int, seconds: float) -> None:
        self._histograms["commit_seconds"].observe(seconds)
        self._histograms["commit_changes"].observe(changes)

    async def _count(self) -> None:
        core = core_of(self._given)
        core.ensure_running()
        self.start()
        tally = self._tally
        assert tally is not None  # noqa: S101  # `start` has made it
        overview, now = core.store.overview, core.clock.now_ms() - OVERDUE_MS
        loop = asyncio.get_running_loop()
        census = await loop.run_in_executor(None, overview.census, now, tally.position)
        self._samples = [*tally.add(census), *_of_process(core)]


def _of_process(core: DurableEngine) -> Iterator[Sample]:
    yield "runs_in_hand", {}, len(core.live)
    yield "deliveries_in_hand", {}, core.deliveries.on_their_way
    readers = [*core.broadcast] if "broadcast" in vars(core) else []
    yield "stream_readers", {}, len(readers)
    yield "stream_buffered_bytes", {}, sum(reader.buffered for reader in readers)
