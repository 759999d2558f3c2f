"""AWS Lambda: the events of a function URL, or of an HTTP API of API Gateway, and their answers.

Nothing lives on in a Lambda function between two events, so no engine can: a QStash server keeps
the runs, and visits the function when there is something to do.
"""

import base64
from collections.abc import Mapping
from typing import Any

from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.errors import ConfigurationError
from workflow_agents.serve.doors import BackgroundDoor
from workflow_agents.serve.endpoint import Request, Response
from workflow_agents.serve.paths import Paths
from workflow_agents.serve.routes import Route
from workflow_agents.serve.serve import Engine


class Serve(BackgroundDoor):
    """Serves workflows; it is the handler of a Lambda function itself.

    ```python
    handler = Serve()

    @handler.post("/orders")
    def orders(context: WorkflowContext[Order]) -> str: ...
    ```

    Events are those of payload format 2.0: function URLs, and HTTP APIs of API Gateway.

    Args:
        engine: keeps the runs in the process, for tests; default: the server that QSTASH_TOKEN
            names.

    Raises:
        ConfigurationError: WA106, no QStash server is named, and no engine given.
    """

    @names_options
    def __init__(self, *, engine: Engine | None = None) -> None:
        super().__init__(engine, None)
        if engine is None and self._routes.embedded:
            raise ConfigurationError(
                "WA106",
                "a Lambda function cannot keep runs",
                where="workflow_agents.aws_lambda.Serve()",
                found="no QSTASH_TOKEN in the environment, and no engine",
                why="it is frozen as soon as it has answered, and its disk is its own",
                fix=("set QSTASH_TOKEN and QSTASH_URL of the server that keeps the runs",),
            )
        self._paths = Paths(self._hooks() if self._routes.embedded else None)

    def __call__(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """Answer an event, with what the function is to return.

        Raises:
            ConfigurationError: WA102, it is of another payload format.
        """
        del context  # tells of the function, not of the request
        asked = event.get("requestContext", {})
        if event.get("version") != "2.0" or "http" not in asked:
            raise wrong_option("event", "an event of payload format 2.0", event)
        # Below a stage that has a name, the path begins with that.
        path = "/" + event["rawPath"].removeprefix(f"/{asked.get('stage')}/").lstrip("/")
        route = self._paths.find(asked["http"]["method"], path)
        if isinstance(route, Response):
            return _answer(route)
        length = event.get("headers", {}).get("content-length")
        return _answer(self._answered(route, length, lambda: _seen(event)))

    def _mount(self, path: str, route: Route) -> None:
        self._paths.add(path, route)


def _seen(event: Mapping[str, Any]) -> Request:
    headers, asked = event.get("headers", {}), event["requestContext"]
    host = headers.get("host") or asked["domainName"]
    scheme = headers.get("x-forwarded-proto", "https")
    query = event.get("rawQueryString")
    url = f"{scheme}://{host}{event['rawPath']}{f'?{query}' if query else ''}"
    body = event.get("body") or ""
    content = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    return Request(url, [*headers.items()], content, asked["http"]["method"])


def _answer(response: Response) -> dict[str, Any]:
    return {
        "statusCode": response.status,
        "headers": {"content-type": "application/json", **response.headers},
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }
