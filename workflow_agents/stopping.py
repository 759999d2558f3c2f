"""Whether this process was asked to end.

A web server that is asked to end waits for its open connections, and only then tells its app. A
connection that lasts as long as there is news would hold it up for ever. So whoever holds one
looks here now and then. Nothing is installed: the signal handlers are read, not replaced.
"""

import signal
from typing import Any


def process_stops() -> bool:
    """Whether the server of this process was asked to end.

    uvicorn's signal handlers are methods of the server that they stop. Where another server, or
    none, has the signals, it cannot be known, and the answer is False.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        handler: Any = signal.getsignal(number)
        if getattr(getattr(handler, "__self__", None), "should_exit", False) is True:
            return True
    return False
