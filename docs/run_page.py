"""Run the Python blocks of a page, in order, as the cells of a notebook: top-level await works.

    python -m docs.run_page README.md

Agents on the page reach the model that the environment names. If it makes a FastAPI `app`, that is
started, and sent what the page's curl commands send. A block that is not to be run says so:
```python no-run
One with a title is a file, which `walk.py` makes.
"""

import ast
import asyncio
import inspect
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from workflow_agents.testing.model_server import CallTools, RecordedRequest, Reply

BLOCK = re.compile(r"^```python *(?P<options>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)
CURL = re.compile(r"^curl -X POST localhost:8000(?P<path>\S+)(?P<rest>.*?)(?:#.*)?$", re.M)

VALUES: dict[Any, Any] = {"integer": 12, "number": 30.0, "boolean": True}


def blocks(page: Path) -> list[tuple[int, str]]:
    """Line and code of each block that is to be run."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start("code")), match["code"])
        for match in BLOCK.finditer(text)
        if "no-run" not in match["options"] and "title=" not in match["options"]
    ]


def requests(page: Path) -> list[tuple[str, dict[str, str], str]]:
    """Path, headers and body of each request that the page shows."""
    found: list[tuple[str, dict[str, str], str]] = []
    for match in CURL.finditer(page.read_text(encoding="utf-8")):
        words = shlex.split(match["rest"])
        options = list(zip(words[::2], words[1::2], strict=True))
        headers = dict(word.split(": ", 1) for option, word in options if option == "-H")
        headers.setdefault("content-type", "application/x-www-form-urlencoded")  # as curl does
        found.append((match["path"], headers, dict(options)["-d"]))
    return found


def run(page: Path) -> None:
    """Run them all in one namespace; what they raise passes."""
    names: dict[str, Any] = {"__name__": "page"}
    with asyncio.Runner() as runner:
        for line, code in blocks(page):
            compiled = compile(
                "\n" * line + code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
            result = eval(compiled, names)
            if inspect.iscoroutine(result):
                runner.run(result)
        if "app" in names:
            runner.run(serve(names["app"], names["serve"], requests(page)))


async def serve(app: Any, serve: Any, sent: list[tuple[str, dict[str, str], str]]) -> None:
    """Start the app, send it the requests, wait for the runs, stop it."""
    import httpx2

    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http,
    ):
        for path, headers, body in sent:
            answer = await http.post(path, headers=headers, content=body)
            answer.raise_for_status()
            await serve.client.handle(answer.json()["workflowRunId"]).result()


def obliging(request: RecordedRequest) -> Reply | str:
    """Call the first tool that is offered; say something when its result is there."""
    last = request.messages[-1]
    if not request.tools or last.get("role") != "user" or not isinstance(last["content"], str):
        return "Yes, with pleasure."
    tool = request.body["tools"][0]
    function = tool.get("function", tool)
    schema = function.get("parameters") or function["input_schema"]
    arguments = {
        name: VALUES.get(value.get("type"), "x") for name, value in schema["properties"].items()
    }
    return CallTools(((function["name"], arguments),))


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve())
