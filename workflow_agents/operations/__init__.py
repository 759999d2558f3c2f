"""What is needed to look after an engine that others rely on.

- `EventStream`: an ASGI app that tells of what happens, as server-sent events.
- `Metrics`: an ASGI app for Prometheus.
- `trace`: spans for OpenTelemetry.
- `configure_logging`: logs as JSON, a line for each.

A server has them all. An app with an embedded engine mounts those that it wants:

```python
app.mount("/events", EventStream(serve.engine, token=os.environ["EVENTS_TOKEN"]))
app.mount("/metrics", Metrics(serve.engine))
```
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_agents.operations.events import EventStream
    from workflow_agents.operations.logs import configure_logging
    from workflow_agents.operations.metrics import Metrics
    from workflow_agents.operations.tracing import trace

__all__ = ["EventStream", "Metrics", "configure_logging", "trace"]

_HOMES = {
    "EventStream": "events",
    "Metrics": "metrics",
    "configure_logging": "logs",
    "trace": "tracing",
}


def __getattr__(name: str) -> Any:
    """Each is loaded when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
