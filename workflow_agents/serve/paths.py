"""Paths of an app that has no router of its own: plain ASGI, AWS Lambda."""

from workflow_agents.serve.endpoint import Response
from workflow_agents.serve.routes import HOOK_METHODS, HOOKS, Answering, Hooks


class Paths:
    """What answers at which path."""

    def __init__(self, hooks: Hooks | None) -> None:
        self._routes: dict[str, Answering] = {}
        self._hooks = hooks

    def add(self, path: str, route: Answering) -> None:
        """Let a route answer `POST path`."""
        self._routes[path] = route

    def knows(self, path: str) -> bool:
        """Whether anything is served there."""
        return path in self._routes or self._is_hook(path)

    def find(self, method: str, path: str) -> Answering | Response:
        """What answers such a request; or that nothing does."""
        if self._hooks is not None and self._is_hook(path):
            found, methods = self._hooks, HOOK_METHODS
        elif path in self._routes:
            found, methods = self._routes[path], ["POST"]
        else:
            return Response(404, {"error": "Not Found", "message": f"nothing is served at {path}"})
        if method in methods:
            return found
        said = {"error": "Method Not Allowed", "message": f"{path} takes {', '.join(methods)}"}
        return Response(405, said, {"Allow": ", ".join(methods)})

    def _is_hook(self, path: str) -> bool:
        return self._hooks is not None and path.startswith(HOOKS) and path.count("/") >= 6
