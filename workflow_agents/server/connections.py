"""One connection to the server: how long the head of a request may take, and how large it may be.

An app hears of a request when its head is whole. So a head that never ends would fill the memory,
and one that never comes would hold its connection, before any rule of `app` is asked.
"""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workflow_agents.operations.events import STREAMING

HEAD_SECONDS = 30.0
"""From the first byte of a connection, or of a further request, to the end of the head."""

MOST_BYTES = 2**20
"""Of a head, of trailers, or of the frame of a body's chunk. `app` answers to what is too large by
less: it has limits of its own."""

STREAM_BYTES = 64 * 1024
"""What is buffered of a stream of events that its reader has not taken."""


class Connection(HttpToolsProtocol):
    """As uvicorn has it; closed where what comes leads to nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_body = False
        self._led_to_nothing = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is expected."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something came, which may lead to nothing."""
        if not self._in_body:
            self._expect_head()
        self._led_to_nothing += len(data)
        super().data_received(data)
        if self._led_to_nothing > MOST_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins, perhaps right behind a request."""
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is whole."""
        self._expect_nothing()
        self._in_body, self._led_to_nothing = True, 0
        super().on_headers_complete()
        means: dict[object, object] = {"abort": self.transport.abort, "narrow": self._narrow}
        self.scope["extensions"] = {STREAMING: means}

    def on_body(self, body: bytes) -> None:
        """A part of the body came, whose time and size the app looks at."""
        self._led_to_nothing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body, self._led_to_nothing = False, 0
        super().on_message_complete()

    def _narrow(self) -> None:
        """The system buffers only so much of a stream, by which a frozen reader is seen soon."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_BYTES)
        self.transport.set_write_buffer_limits(high=STREAM_BYTES)

    def _expect_head(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
