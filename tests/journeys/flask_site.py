"""A Flask app with workflows, served by werkzeug on a real socket, with several threads."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from flask import Flask
from werkzeug.serving import make_server

from workflow_agents import Engine, RunHandle, RunLog
from workflow_agents.flask import Serve

PATIENCE_S = 30


class FlaskSite:
    """Started with the first request.

    Attributes:
        app: the app.
        serve: serves workflows on it.
        url: where it is served.
    """

    def __init__(self, store: Path, **engine_options: Any) -> None:
        self.app = Flask("site")
        self.engine = Engine(str(store), **engine_options)
        self.serve = Serve(self.app, engine=self.engine)
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.http = httpx2.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.http.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.serve.stop()

    def post(self, path: str, payload: Any = None, **options: Any) -> httpx2.Response:
        """POST: text and bytes as they are, anything else as JSON."""
        if isinstance(payload, str | bytes):
            options["content"] = payload
        elif payload is not None:
            options["json"] = payload
        return self.http.post(path, **options)

    def trigger(self, path: str, payload: Any = None, **options: Any) -> RunHandle:
        """Start a run as curl does, and follow it."""
        answer = self.post(path, payload, **options)
        assert answer.status_code == 200, answer.text
        assert answer.json()["finishCondition"] == "success"
        return self.serve.client.handle(answer.json()["workflowRunId"])

    def run(self, path: str, payload: Any = None, **options: Any) -> RunLog:
        """Start a run and wait for its end."""
        run = self.trigger(path, payload, **options)
        with contextlib.suppress(Exception):
            run.result()
        return run.log()


@contextlib.contextmanager
def flask_site(store: Path, **engine_options: Any) -> Iterator[FlaskSite]:
    site = FlaskSite(store, **engine_options)
    try:
        yield site
    finally:
        site.stop()


def told(run: RunHandle, kind: str, name: str | None = None, times: int = 1) -> Any:
    """Wait for the n-th feed entry of this kind, of a step of this name."""
    for entry in run.feed():
        if entry.kind == kind and (name is None or entry.step_name == name):
            times -= 1
            if not times:
                return entry
    raise AssertionError(f"the run ended without {kind} of {name}")


def workflow_threads() -> list[str]:
    """The threads of synchronous workflow functions."""
    return [t.name for t in threading.enumerate() if t.name.startswith("workflow-thread-")]


def threads_end() -> None:
    """Wait until no workflow function has a thread."""
    patience = time.monotonic() + PATIENCE_S
    while workflow_threads():
        assert time.monotonic() < patience, workflow_threads()
        time.sleep(0.002)
