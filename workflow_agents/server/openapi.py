"""A description of the server that tools read, made of the table of its endpoints."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response

from workflow_agents.server.answers import Json
from workflow_agents.server.routing import Call, Endpoint

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


def document(table: Iterable[Endpoint], url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a server at an address."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        path = _PARAMETER.sub(r"{\1}", endpoint.path)
        for method in endpoint.methods:
            paths.setdefault(path, {})[method.lower()] = _operation(endpoint, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "workflow-agents", "version": "2", "summary": "QStash-compatible API"},
        "servers": [{"url": url}],
        "security": [{"bearer": []}, {"query": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "qstash_token"},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {"type": "string"},
                        "code": {"type": "string"},
                        "fix": {"type": "array", "items": {"type": "string"}},
                    },
                }
            },
        },
    }


def _operation(endpoint: Endpoint, method: str) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint, method),
        "summary": endpoint.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(endpoint.path)
        ],
        "responses": {
            "200": {"description": "It was done"},
            "default": {"description": "It was refused", "content": error},
        },
    }
    if endpoint.public:
        operation["security"] = []
    return operation


def _operation_id(endpoint: Endpoint, method: str) -> str:
    words = re.findall(r"\w+", _PARAMETER.sub(r"\1", endpoint.path))
    return "_".join([method.lower(), *words])


def endpoints(table: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """The endpoints at which the description is found; anybody may read it."""

    async def describe(call: Call) -> Response:
        return Json(document(table, call.server.settings.url))

    return tuple(
        Endpoint("GET", path, describe, "This description", public=True)
        for path in ("/openapi.json", "/v2/openapi.json")
    )
