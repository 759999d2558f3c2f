"""A served workflow: the function, its options, and how an invocation of it begins."""

import copy
import dataclasses
import inspect
import sys
import typing
from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, Unpack, get_type_hints

from workflow_agents.context.context import AsyncWorkflowContext
from workflow_agents.context.invocation import Invocation
from workflow_agents.context.revive import adapter, has_model
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.journal import Groups, History, Journal, Keeper, StoredRun
from workflow_agents.core.limits import Limits
from workflow_agents.core.options import RunOptions
from workflow_agents.errors import ConfigurationError, StepUsageError
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.headers import Headers
from workflow_agents.serve.options import ServedFunction, WorkflowOptions, check_names

if TYPE_CHECKING:
    from workflow_agents.serve.middleware import Middlewares
    from workflow_agents.serve.telling import Known, Memory


class Workflow:
    """What `@serve.post` and `@engine.workflow` return; pass it to `trigger` and `invoke`.

    Attributes:
        path: what stored runs find it by.
        options: what holds for its runs where they do not say otherwise.
        invocation_type: what runs its function; test kits put a kind of their own here.
    """

    invocation_type: type[Invocation] = Invocation

    def __init__(
        self,
        path: str,
        function: ServedFunction,
        *,
        limits: Limits,
        **options: Unpack[WorkflowOptions],
    ) -> None:
        if not isinstance(path, str) or not path:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("path", "text such as '/orders'", path)
        check_names(options, WorkflowOptions, f"workflow {path!r}")
        hints = _checked_function(path, function)
        given = options.get
        failure_function = given("failure_function")
        initial_payload_parser, schema = given("initial_payload_parser"), given("schema")
        env = given("env")
        for name, called in (
            ("failure_function", failure_function),
            ("initial_payload_parser", initial_payload_parser),
        ):
            if called is not None and not callable(called):
                raise wrong_option(name, "a function", called)
        if env is not None and not isinstance(env, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("env", "a dict of texts", env)
        if schema is not None:
            _check_schema(schema)
        if schema is not None and initial_payload_parser is not None:
            raise ConfigurationError(
                "WA102",
                "schema and initial_payload_parser exclude each other",
                where=f"workflow {path!r}",
                found="expected one of them, found both",
                fix=("give one of them",),
            )
        self.path = path
        self.options = RunOptions.checked(
            retries=given("retries"),
            retry_delay=given("retry_delay"),
            flow_control=given("flow_control"),
            label=given("label"),
            failure_url=given("failure_url"),
            redact=given("redact"),
        )
        self._function: Any = function
        self._is_async = _is_async(function)
        self._failure_function = failure_function
        self._parser = initial_payload_parser
        self._schema = schema if schema is not None else _declared(function, hints)
        self._env = env
        self._limits = limits
        self._middlewares = _told(given("middlewares"), given("verbose", False))
        self._memory: Memory | None = None
        self.__name__ = getattr(function, "__name__", path)
        self.__doc__ = function.__doc__

    @property
    def function(self) -> ServedFunction:
        """What is called."""
        return self._function

    @property
    def payload_type(self) -> Any:
        """What its payload is declared to be; None: anything."""
        return self._schema

    @property
    def has_failure_function(self) -> bool:
        """Whether something is to be called when a run has failed."""
        return self._failure_function is not None

    def __repr__(self) -> str:
        return f"Workflow({self.path!r})"

    def variant(
        self,
        *,
        invocation_type: type[Invocation] = Invocation,
        env: Mapping[str, str | None] | None = None,
    ) -> "Workflow":
        """The same workflow for a test kit: run by an invocation of its own kind.

        `env` is what `context.env` is, unless the workflow was given its own.
        """
        other = copy.copy(self)
        other.invocation_type = invocation_type
        other._memory = None  # noqa: SLF001  # one of our own kind
        other._env = env if self._env is None else self._env  # noqa: SLF001  # one of our own kind
        return other

    def invoke(
        self,
        run: StoredRun,
        options: RunOptions,
        history: History,
        journal: Journal,
        keeper: Keeper,
        *,
        gate: Any = None,
        groups: Groups | None = None,
        known: "Known | None" = None,
        task_context: Context,
    ) -> Invocation:
        """Call the function. See `engine.served.Served`.

        Args:
            run: its run.
            options: of the run.
            history: what is stored of it.
            journal: keeps it.
            keeper: is told what the invocation comes to.
            gate: see `Served`.
            groups: decides of its steps, where the history is in lock-step.
            known: what middlewares may have been told; default: what follows from the history, and
                in lock-step nothing is told.
            task_context: the root task's.
        """
        make = self.invocation_type
        invocation = make(journal, history, keeper, self._limits, gate=gate, groups=groups)
        if self._middlewares is None or (groups is not None and known is None):
            main = self._call(invocation, run, options)
        else:
            from workflow_agents.serve.telling import known_of

            known = known or known_of(history)
            main = self._call_and_tell(invocation, run, options, known, task_context)
        invocation.start(main, task_context)
        return invocation

    async def _call(self, invocation: Invocation, run: StoredRun, options: RunOptions) -> object:
        return await self._called(invocation, self._context(invocation, run, options))

    async def _call_and_tell(
        self,
        invocation: Invocation,
        run: StoredRun,
        options: RunOptions,
        known: "Known",
        task_context: Context,
    ) -> object:
        from workflow_agents.serve.telling import Memory, Teller

        middlewares = self._middlewares
        assert middlewares is not None  # noqa: S101  # for the type checker
        try:
            context = self._context(invocation, run, options)
        except Exception as error:
            from workflow_agents.serve.middleware import RunError

            await middlewares.tell(RunError(run.run_id, error), run.run_id)
            raise
        if self._memory is None:
            self._memory = Memory()
        teller = Teller(middlewares, self._memory, context, known, task_context)
        invocation.listener = teller
        result = await self._called(invocation, context)
        await invocation.hear(teller.completed(invocation.ending_of(result)))
        return result

    async def _called(self, invocation: Invocation, context: AsyncWorkflowContext[Any]) -> object:
        if self._is_async:
            return await self._function(context)
        from workflow_agents.sync.context import sync_face

        face, thread = sync_face(invocation, context)
        return await thread.call(lambda: self._function(face))

    async def warn(self, run_id: str, text: str) -> None:
        """Tell the middlewares of something that a run outlives."""
        if self._middlewares is not None:
            from workflow_agents.serve.middleware import RunWarning

            await self._middlewares.tell(RunWarning(run_id, text), run_id)

    async def on_failure(
        self,
        run: StoredRun,
        options: RunOptions,
        failure: dict[str, Any],
        *,
        journal: Journal,
        keeper: Keeper,
    ) -> Any:
        """Call the failure function with (context, status, response, headers)."""
        function = self._failure_function
        if function is None:
            return None
        # It is never started: a failure function makes no steps.
        invocation = Invocation(journal, History([], []), keeper, self._limits)
        context = self._context(invocation, run, options)
        told = failure.get("status", 500), failure["message"], failure.get("headers", {})
        if inspect.iscoroutinefunction(function):
            return await function(context, *told)
        import asyncio

        from workflow_agents.sync.context import sync_face

        face, _ = sync_face(invocation, context)
        return await asyncio.to_thread(function, face, *told)

    def _context(
        self, invocation: Invocation, run: StoredRun, options: RunOptions
    ) -> AsyncWorkflowContext[Any]:
        from workflow_agents import config

        return AsyncWorkflowContext(
            invocation,
            workflow_run_id=run.run_id,
            url=options.url or run.workflow,
            request_payload=self._payload(run.input or b""),
            headers=Headers(typing.cast("Mapping[str, str]", options.headers)),
            env=config.environment() if self._env is None else self._env,
            labels=options.labels,
            created_at=run.created_at,
            policy=options.policy,
            origin=options.origin,
            other_models=frozenset(a["model"] for a in options.asks.values() if "model" in a),
        )

    def _payload(self, body: bytes) -> Any:
        """The payload as the workflow declares it.

        Raises:
            StepUsageError: WA205.
        """
        if self._parser is not None:
            return self._parser(body.decode("utf-8", "replace"))
        value: Any = None
        if body:
            try:
                value = decode(body)
            except Undecodable:
                value = body.decode("utf-8", "replace")
        if self._schema is None:
            return value
        from pydantic import ValidationError

        try:
            payload = adapter(self._schema).validate_python(value)
        except ValidationError as error:
            found = [
                f"{'.'.join(map(str, e['loc'])) or 'payload'}: {e['msg']}"
                for e in error.errors(include_url=False)[:5]
            ]
            raise StepUsageError("WA205", where=f"workflow {self.path!r}", found=found) from error
        return _subscriptable(payload)


def _told(middlewares: object, verbose: object) -> "Middlewares | None":
    if not middlewares and not verbose:
        return None
    from workflow_agents.serve.middleware import checked_middlewares

    return checked_middlewares(middlewares, verbose=verbose)


def _check_schema(schema: Any) -> None:
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    try:
        adapter(schema)
    except (PydanticUndefinedAnnotation, PydanticUserError, TypeError) as error:
        raise wrong_option("schema", "a type that pydantic can check", schema) from error


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 -- an object that is called as one
    )


def _checked_function(path: str, function: Any) -> Mapping[str, Any]:
    """The function's type hints, as far as they are known.

    Raises:
        ConfigurationError: WA102, it cannot be a workflow.
    """
    generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if not callable(function) or generates:
        raise ConfigurationError(
            "WA102",
            "a workflow is a function",
            where=f"workflow {path!r}",
            found=f"expected def or async def without yield, found {function!r}"[:200],
            fix=("async def my_workflow(context): ...", "def my_workflow(context): ..."),
        )
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        return {}
    wrong, right = "WorkflowContext", "AsyncWorkflowContext"
    if not _is_async(function):
        wrong, right = right, wrong
    for annotation in hints.values():
        if _kind_of_context(typing.get_origin(annotation) or annotation) == wrong:
            way = "async def" if wrong == "AsyncWorkflowContext" else "def"
            raise ConfigurationError(
                "WA102",
                "the workflow is annotated with the other kind of context",
                where=f"workflow {path!r}",
                found=f"expected {right}, found {wrong}",
                why="async functions get an AsyncWorkflowContext, plain ones a WorkflowContext",
                fix=(f"annotate it with {right}", f"make it {way}"),
            )
    return hints


def _kind_of_context(annotation: Any) -> str | None:
    if annotation is AsyncWorkflowContext:
        return "AsyncWorkflowContext"
    # Nothing is annotated with what is not loaded, and async functions need not load it.
    sync = sys.modules.get("workflow_agents.sync.context")
    return "WorkflowContext" if sync is not None and annotation is sync.WorkflowContext else None


def _declared(function: Any, hints: Mapping[str, Any]) -> Any:
    """The type of `WorkflowContext[T]`, where it is a pydantic model or a dataclass."""
    parameters = [*inspect.signature(function).parameters]
    annotation = hints.get(parameters[0]) if parameters else None
    arguments = typing.get_args(annotation)
    return arguments[0] if arguments and has_model(arguments[0]) else None


def _item(payload: Any, name: str) -> Any:
    return getattr(payload, name)


def _subscriptable(payload: Any) -> Any:
    """Let a dataclass be read as `payload["name"]` too, as the documentation does."""
    if not dataclasses.is_dataclass(payload) or hasattr(payload, "__getitem__"):
        return payload
    cls = type(payload)
    both = type(cls.__name__, (cls,), {"__getitem__": _item, "__slots__": ()})
    both.__module__, both.__qualname__ = cls.__module__, cls.__qualname__
    same: Any = object.__new__(both)
    for name in (f.name for f in dataclasses.fields(payload)):
        object.__setattr__(same, name, getattr(payload, name))
    return same
