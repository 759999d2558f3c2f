"""URL groups, which the wire calls topics: their endpoints. Source: protocol 6.3."""

from collections.abc import Iterator
from typing import Any, cast

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.protocol.codec import is_text
from workflow_agents.server.answers import Json, empty
from workflow_agents.server.routing import Call, Endpoint
from workflow_agents.store.resource_rows import EndpointRow, GroupRow


async def put_endpoints(call: Call) -> Response:
    """Add endpoints to a group, which is made if there is none."""
    ends = [_with_url(url, name) for url, name in _endpoints(await call.json({}))]
    await call.engine.wire.url_groups.put_endpoints(call.parameter("name"), ends)
    return empty()


async def remove_endpoints(call: Call) -> Response:
    """Remove endpoints from a group, each by its URL or its name."""
    given = [*_endpoints(await call.json({}))]
    urls = [url for url, _ in given if url is not None]
    names = [name for url, name in given if url is None and name is not None]
    await call.engine.wire.url_groups.remove_endpoints(call.parameter("name"), urls, names)
    return empty()


def _endpoints(data: Any) -> Iterator[tuple[str | None, str | None]]:
    listed: Any = cast("dict[str, Any]", data).get("endpoints") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise wrong_option("endpoints", "a list of objects with a url", listed)
    for end in cast("list[Any]", listed):
        given = cast("dict[str, Any]", end) if isinstance(end, dict) else {}
        url, name = given.get("url"), given.get("name") or None
        texts = [text for text in (url, name) if text is not None]
        if not any(texts) or not all(isinstance(one, str) and is_text(one) for one in texts):
            raise wrong_option("endpoints", "objects with a url, and perhaps a name", given)
        yield url, name


def _with_url(url: str | None, name: str | None) -> EndpointRow:
    if url is None:
        raise wrong_option("endpoints", "a url for each", name)
    return EndpointRow(url, name)


async def every(call: Call) -> Response:
    """All URL groups."""
    return Json([_shown(row) for row in call.engine.wire.url_groups.all()])


async def show(call: Call) -> Response:
    """One URL group."""
    return Json(_shown(call.engine.wire.url_groups.get(call.parameter("name"))))


async def delete(call: Call) -> Response:
    """Remove a URL group."""
    await call.engine.wire.url_groups.delete(call.parameter("name"))
    return empty()


def _shown(row: GroupRow) -> dict[str, Any]:
    ends = [
        {"url": end.url} if end.name is None else {"name": end.name, "url": end.url}
        for end in row.endpoints
    ]
    return {
        "name": row.name,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "endpoints": ends,
    }


_ENDPOINTS = "/v2/topics/{name}/endpoints"
endpoints = (
    Endpoint("POST", _ENDPOINTS, put_endpoints, "Add endpoints to a URL group"),
    Endpoint("DELETE", _ENDPOINTS, remove_endpoints, "Remove endpoints from a URL group"),
    Endpoint("GET", "/v2/topics", every, "All URL groups"),
    Endpoint("GET", "/v2/topics/{name}", show, "A URL group"),
    Endpoint("DELETE", "/v2/topics/{name}", delete, "Remove a URL group"),
)
