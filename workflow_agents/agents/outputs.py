"""Output types: the schema that a model is shown, and its answer as a value of the type.

Any type that pydantic knows: models, dataclasses, TypedDicts, `int`, `list[str]`, `Literal`,
unions. Providers take schemas of objects only, so that another type travels as the one member
"result" of an object. pydantic is imported when the first such type is read; `str`, the default,
is the model's text as it is.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, cast

from workflow_agents.agents.models.port import OutputSchema
from workflow_agents.agents.schemas import without_titles
from workflow_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from typing_extensions import TypeVar

    OutputT = TypeVar("OutputT", default=str, covariant=True)
else:
    from typing import TypeVar

    OutputT = TypeVar("OutputT", covariant=True)

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.S)
_SHOWN_PROBLEMS = 10
_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


class BadOutput(Exception):
    """An answer that does not fit; the text tells the model what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Output(Generic[OutputT]):
    """How an agent is to answer.

    Attributes:
        schema: of the answer; None: free text.
        read: makes the value of the answer's text; raises `BadOutput`.
    """

    schema: OutputSchema | None
    read: Callable[[str], OutputT]


def _as_it_is(text: str) -> str:
    return text


TEXT: Output[str] = Output(None, _as_it_is)


def of_type(output_type: Any, where: str) -> Output[Any]:
    """How answers of this type are asked for and read.

    Raises:
        ConfigurationError: WA702 for a type that has no JSON schema.
    """
    if output_type is str:
        return TEXT
    try:
        return _of_type(output_type)
    except _NoSchema as error:
        raise ConfigurationError(
            "WA702",
            "'output_type' of the agent is not right",
            where=where,
            found=f"expected a type that has a JSON schema, found {output_type!r}: {error}",
            fix=("use pydantic models, dataclasses, TypedDicts or JSON types",),
        ) from error


class _NoSchema(Exception):
    pass


@lru_cache(maxsize=256)
def _of_type(output_type: Any) -> Output[Any]:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, create_model
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(output_type)
        schema = adapter.json_schema()
        name = _NAME.sub("_", getattr(output_type, "__name__", "") or "answer")[:60]
        if _is_object(schema):
            return Output(OutputSchema(name, without_titles(schema)), _reader(adapter))
        wrapper = create_model(
            "Result", __config__=ConfigDict(extra="forbid"), result=(output_type, ...)
        )
        wrapped = without_titles(wrapper.model_json_schema())
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise _NoSchema(str(error).splitlines()[0]) from error
    read_wrapped, read_bare = _reader(TypeAdapter(wrapper)), _reader(adapter)

    def read(text: str) -> Any:
        """Models know to wrap it from the schema; one that does not is understood all the same."""
        try:
            return read_wrapped(text).result
        except BadOutput:
            try:
                return read_bare(text)
            except BadOutput:
                pass
            raise

    return Output(OutputSchema(name, wrapped), read)


def feedback(output: Output[Any], problem: str) -> str:
    """What a model is told of an answer that does not fit."""
    schema = None if output.schema is None else output.schema.schema
    shape = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return (
        f"Your answer does not fit. {problem}\n"
        f"Answer again, with JSON only, of this schema: {shape}"
    )


def _reader(adapter: "TypeAdapter[Any]") -> Callable[[str], Any]:
    def read(text: str) -> Any:
        from pydantic import ValidationError

        try:
            return adapter.validate_json(_json(text))
        except ValidationError as error:
            raise BadOutput(_problem(error, text)) from error

    return read


def _json(text: str) -> str:
    """The answer without what some models put around it: a fence, and words before it."""
    text = text.strip()
    if not text.startswith(("{", "[", '"')) and (fenced := _FENCED.search(text)):
        return fenced[1]
    return text


def _problem(error: "ValidationError", text: str) -> str:
    if not text.strip():
        return "It is empty."
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    told = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}".removeprefix(": ")
        for problem in problems[:_SHOWN_PROBLEMS]
    ]
    if len(problems) > _SHOWN_PROBLEMS:
        told.append(f"and {len(problems) - _SHOWN_PROBLEMS} more")
    return f"{'; '.join(told)}."


def _is_object(schema: dict[str, Any]) -> bool:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        defined = cast("dict[str, Any]", schema.get("$defs", {}))
        return _is_object(defined.get(reference.rpartition("/")[2], {}))
    return schema.get("type") == "object"
