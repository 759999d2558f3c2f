"""What the payload of a workflow is to be: its JSON schema, a draft, what is wrong with one."""

from typing import TYPE_CHECKING, Any, cast

from workflow_agents.dashboard.timeline import members

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_MOST = 20
_DEEP = 6


def payload_type(engine: "DurableEngine", workflow: str) -> Any:
    """What it is declared to be; None: anything, or the workflow is served elsewhere."""
    served: Any = engine.workflows.get(workflow)
    # What the engine serves need not be one of ours.
    return getattr(getattr(served, "workflow", None), "payload_type", None)


def described(declared: Any) -> dict[str, Any]:
    """The JSON schema of a type, and a value to begin with."""
    if declared is None:
        return {"schema": None, "template": None}
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        schema = TypeAdapter(declared).json_schema()
    except PydanticUserError:
        # It can be checked, and not described.
        return {"schema": None, "template": None}
    return {"schema": schema, "template": template(schema)}


def wrong_in(declared: Any, payload: Any) -> list[dict[str, str]]:
    """What is wrong with a payload, by its fields; nothing: it will be taken."""
    if declared is None:
        return []
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(declared).validate_python(payload)
    except ValidationError as error:
        return [
            {"field": ".".join(map(str, e["loc"])) or "payload", "message": e["msg"]}
            for e in error.errors(include_url=False, include_input=False)[:_MOST]
        ]
    return []


def template(schema: dict[str, Any]) -> Any:
    """A value to begin with: what is required, with defaults and first choices."""
    return _draft(schema, members(schema.get("$defs")), _DEEP)


def _draft(schema: dict[str, Any], named: dict[str, Any], deep: int) -> Any:
    if deep == 0:
        return None
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "$ref" in schema:
        return _draft(members(named.get(schema["$ref"].rpartition("/")[2])), named, deep - 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return _draft(members(schema[name][0]), named, deep - 1)
    return _draft_of(schema, named, deep)


def _draft_of(schema: dict[str, Any], named: dict[str, Any], deep: int) -> Any:
    match schema.get("type"):
        case "object":
            fields = members(schema.get("properties"))
            required = cast("list[str]", schema.get("required", []))
            return {n: _draft(members(fields[n]), named, deep - 1) for n in required if n in fields}
        case "array":
            return []
        case "string":
            return ""
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return None
