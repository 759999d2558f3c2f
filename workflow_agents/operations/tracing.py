"""Spans for OpenTelemetry: who ends a run is not asked, its record is; see `spans`.

When a run has ended, its feed is read in a thread, and its spans are handed to the tracer, with
the times that they had. A run that is parked for days costs nothing meanwhile, and is told when it
has ended; so it is told once, by whichever process ends it.
"""

import json
import logging
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workflow_agents.core.feed_events import FeedEvent
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import ConfigurationError
from workflow_agents.operations.mounting import HasCore, core_of
from workflow_agents.operations.spans import (
    RunFacts,
    Span,
    members,
    span_id_of,
    spans_of,
    trace_id_of,
)
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.interface import RunRow, Store

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

logger = logging.getLogger(__name__)

_ENDS = frozenset({EntryKind.RUN_SUCCESS, EntryKind.RUN_FAILED, EntryKind.RUN_CANCELED})
_BODIES_READ = 16 * 2**20
_DEEPEST = 1_000


def trace(
    engine: DurableEngine | HasCore, *, tracer_provider: "TracerProvider | None" = None
) -> None:
    """Make spans of the runs that end from now on.

    LLM calls and tool calls are told by the GenAI conventions of OpenTelemetry; what was said is
    not told. The ids of spans follow from the ids of runs, whatever the provider makes of its own.

    Args:
        engine: whose runs.
        tracer_provider: makes the tracer; default: the global one.

    Raises:
        ConfigurationError: WA108, opentelemetry-api is not installed.
    """
    try:
        from opentelemetry import trace as api
    except ImportError as error:
        raise ConfigurationError(
            "WA108",
            where="trace",
            found="not installed: opentelemetry-api",
            fix=("pip install 'workflow-agents[otel]'",),
        ) from error
    core = core_of(engine)
    tracer = api.get_tracer("workflow_agents", tracer_provider=tracer_provider)
    Tracing(core, tracer)


class Tracing:
    """Hands the spans of runs that have ended to a tracer."""

    def __init__(self, engine: DurableEngine, tracer: "Tracer") -> None:
        self._engine = engine
        self._tracer = tracer
        self._ids = _Ids.put_into(tracer)
        self._thread: ThreadPoolExecutor | None = None
        engine.broadcast.watch(self._told, self._finish)

    def _told(self, event: FeedEvent) -> None:
        if event.kind in _ENDS:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="workflow-spans")
            self._thread.submit(self._tell_run, event.run)

    async def _finish(self) -> None:
        """Tell what is left; the store is closed behind it."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await self._engine.loop.run_in_executor(None, thread.shutdown)

    def _tell_run(self, run: int) -> None:
        try:
            row = self._engine.store.run(run)
            if row is not None:
                self._tell(row)
        except Exception:  # the edge of one run's spans: the next ones are told
            logger.exception("the spans of a run cannot be told", extra={"run": run})

    def _tell(self, row: RunRow) -> None:
        store = self._engine.store
        top, parent = _above(store, row)
        trace_id = trace_id_of(top)
        models = _models(store, row.id)
        facts = RunFacts(row.run_id, row.workflow, parent, store.labels(row.id), models)
        # The feed is read whole: an outcome that is long says what the model was asked and said.
        for span in spans_of(facts, self._engine.admin.entries(row)):
            self._emit(trace_id, span)

    def _emit(self, trace_id: int, span: Span) -> None:
        from opentelemetry import trace as api

        flags = api.TraceFlags(api.TraceFlags.SAMPLED)
        context = api.set_span_in_context(api.INVALID_SPAN)
        if span.parent:
            above = api.SpanContext(trace_id, span.parent, False, flags)
            context = api.set_span_in_context(api.NonRecordingSpan(above))
        kind = api.SpanKind.CLIENT if span.client else api.SpanKind.INTERNAL
        with self._ids.being(trace_id, span.id):
            told = self._tracer.start_span(
                span.name, context, kind, span.attributes, start_time=span.began_at * 1_000_000
            )
        for moment in span.moments:
            told.add_event(moment.name, dict(moment.attributes), moment.at * 1_000_000)
        if span.error:
            told.set_attribute("error.type", span.error)
            told.set_status(api.StatusCode.ERROR, span.message or span.error)
        told.end(span.ended_at * 1_000_000)


def _above(store: Store, row: RunRow) -> tuple[str, int]:
    """The id of the run on top of this one, and the span of the step that invoked this one."""
    parent, top = 0, row
    for depth in range(_DEEPEST):
        above = None if top.parent is None else store.run(top.parent)
        if above is None:
            break
        if not depth:
            parent = span_id_of(above.run_id, top.parent_step)
        top = above
    return top.run_id, parent


def _models(store: Store, run: int) -> dict[int, str]:
    """The models that the requests of a run asked for, by the entries of the requests."""
    models: dict[int, str] = {}
    for seq, body in store.bodies(run, _BODIES_READ).items():
        try:
            asked = json.loads(body.data or b"null")
        except ValueError:
            continue
        model = members(asked).get("model")
        if isinstance(model, str):
            models[seq] = model
    return models


class _Ids:
    """Makes the ids that it is told to; for one tracer, in the place of those it would make.

    It stands in for an `IdGenerator` of the SDK: the API has no way to say an id.
    """

    def __init__(self, otherwise: Any) -> None:
        self._otherwise = otherwise
        self._trace_id = self._span_id = 0

    @classmethod
    def put_into(cls, tracer: Any) -> "_Ids":
        ids = cls(getattr(tracer, "id_generator", None))
        if ids._otherwise is not None:
            tracer.id_generator = ids
        return ids

    @contextmanager
    def being(self, trace_id: int, span_id: int) -> Generator[None]:
        """The span that begins within this has these ids. Only one thread makes spans."""
        self._trace_id, self._span_id = trace_id, span_id
        try:
            yield
        finally:
            self._trace_id = self._span_id = 0

    def generate_trace_id(self) -> int:
        """See `IdGenerator`."""
        return self._trace_id or self._otherwise.generate_trace_id()

    def generate_span_id(self) -> int:
        """See `IdGenerator`."""
        return self._span_id or self._otherwise.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """See `IdGenerator`: a hash is as good as random."""
        return True
