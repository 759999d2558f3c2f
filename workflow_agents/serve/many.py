"""Several workflows that are served side by side, and invoke each other by what they are.

Source: protocol 4.6 and 11.1, `createWorkflow` and `serveMany`: the name of a workflow is the last
part of its address, so that whoever invokes one finds it beside itself.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack, cast, overload

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import ConfigurationError
from workflow_agents.serve.options import RouteOptions, ServedFunction, check_names


class InvokableWorkflow:
    """A workflow that others may name before it is served: what `create_workflow` returns.

    Attributes:
        function: what is served.
        options: its own; those that it is served with hold where it has none.
    """

    def __init__(self, function: ServedFunction, options: RouteOptions) -> None:
        self.function = function
        self.options = options
        self.__name__ = getattr(function, "__name__", "workflow")
        self.__doc__ = function.__doc__
        self._path: str | None = None

    @property
    def path(self) -> str:
        """Where it is served.

        Raises:
            ConfigurationError: WA107, nowhere yet.
        """
        if self._path is None:
            raise ConfigurationError(
                "WA107",
                "the workflow is not served",
                where=f"workflow {self.__name__!r}",
                found="create_workflow(...) without serve.many(...)",
                fix=(f"serve.many('/workflows', {{{self.__name__!r}: {self.__name__}}})",),
            )
        return self._path

    def serve_at(self, path: str) -> None:
        """It is served there, and invoked there.

        Raises:
            ConfigurationError: WA110, it is served elsewhere already.
        """
        if self._path not in {None, path}:
            raise ConfigurationError(
                "WA110",
                "one workflow under two paths",
                where=f"workflow {self.__name__!r}",
                found=f"{self._path!r} and {path!r}",
                why="whoever invokes it would not know which one is meant",
                fix=("call create_workflow(...) once for each path",),
            )
        self._path = path

    def __repr__(self) -> str:
        return f"InvokableWorkflow({self.__name__!r})"


Member = InvokableWorkflow | ServedFunction
"""One of several workflows: made by `create_workflow` where others invoke it."""


@overload
def create_workflow(
    function: ServedFunction, **options: Unpack[RouteOptions]
) -> InvokableWorkflow: ...


@overload
def create_workflow(
    **options: Unpack[RouteOptions],
) -> Callable[[ServedFunction], InvokableWorkflow]: ...


def create_workflow(
    function: ServedFunction | None = None, **options: Unpack[RouteOptions]
) -> InvokableWorkflow | Callable[[ServedFunction], InvokableWorkflow]:
    """A workflow that `serve.many` serves, and that others may invoke.

    ```python
    @create_workflow(retries=1)
    async def shipping(context: AsyncWorkflowContext[Order]) -> str: ...

    @create_workflow
    async def order(context: AsyncWorkflowContext[Order]) -> str:
        return (await context.invoke("ship", shipping, context.request_payload)).body

    serve.many("/workflows", {"order": order, "shipping": shipping})
    ```

    Args:
        function: the workflow function; without one, what decorates it is returned.
        options: see `RouteOptions`; those given to `serve.many` hold where they say nothing.

    Raises:
        ConfigurationError: WA101, there is no such option.
    """
    check_names(options, RouteOptions, "create_workflow(...)")
    if function is None:
        return lambda function: InvokableWorkflow(function, options)
    return InvokableWorkflow(function, options)


def members(
    path: str, workflows: Mapping[str, Member], shared: RouteOptions, where: str
) -> Iterator[tuple[str, str, ServedFunction, RouteOptions]]:
    """Name, path, function and options of each of the workflows.

    Raises:
        ConfigurationError: WA101 or WA102, a name or an option cannot be used.
    """
    check_names(shared, RouteOptions, where)
    if shared.get("url"):
        raise wrong_option("url", "base_url for several workflows", shared.get("url"))
    if not isinstance(workflows, Mapping) or not workflows:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        raise wrong_option("workflows", "a dict of workflows by their names", workflows)
    for name, member in workflows.items():
        if not isinstance(name, str) or not name or {*name} & {*"/?#{}<>"}:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("workflows", "names that are one part of an address", name)
        at = f"{path.rstrip('/')}/{name}"
        if isinstance(member, InvokableWorkflow):
            member.serve_at(at)
            options: dict[str, Any] = {**shared, **member.options}
            yield name, at, member.function, cast("RouteOptions", options)
        else:
            yield name, at, member, shared
