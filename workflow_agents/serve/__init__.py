"""Workflows behind routes, and the embedded engine as users hold it.

`from workflow_agents import serve` names this room and the function `neutral.serve` at once: the
room is callable, and calling it is calling the function.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, function: Any, **options: Any) -> Any:
        """See `neutral.serve`."""
        from workflow_agents.serve.neutral import serve

        return serve(function, **options)


sys.modules[__name__].__class__ = _Room
