"""Undoes the compression of a body while it arrives, never more than a piece at a time.

A kilobyte can stand for a megabyte, and a kilobyte of such kilobytes for a gigabyte. Whoever
reads gets pieces, and stops when it has had enough; nothing is made that was not asked for.
"""

import zlib
from collections.abc import Iterator, Sequence

PIECE_BYTES = 65_536
MOST_LAYERS = 2
_INPUT_BYTES = 4_096  # what a member leaves over is copied: not much at a time

ACCEPTED = "gzip, deflate"
"""What requests say that they understand."""

_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})


class BrokenEncoding(Exception):
    """The body is not what its Content-Encoding says. `final`: it never will be."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Decoder:
    """Decodes one body.

    Args:
        content_encoding: the values of the header. A body in an encoding that was not asked
            for is handed on as it is.
        max_bytes: of each layer.

    Attributes:
        over: there is more than `max_bytes`; nothing comes any more.
    """

    def __init__(self, content_encoding: Sequence[str], max_bytes: int) -> None:
        names = [name.strip().lower() for value in content_encoding for name in value.split(",")]
        names = [name for name in names if name not in _PLAIN]
        known = all(name in _GZIP or name == "deflate" for name in names)
        if known and len(names) > MOST_LAYERS:
            raise BrokenEncoding(f"the answer is compressed {len(names)} times over", final=True)
        self._layers = [_Layer(name in _GZIP) for name in reversed(names)] if known else []
        self._sizes = [0] * (len(self._layers) + 1)
        self._max_bytes = max_bytes
        self.over = False

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The pieces that this part of the body stands for.

        Raises:
            BrokenEncoding: it cannot be decoded.
        """
        return self._through(0, received)

    def end(self) -> None:
        """The body has ended.

        Raises:
            BrokenEncoding: it has ended too soon.
        """
        if any(layer.begun and not layer.complete for layer in self._layers):
            raise BrokenEncoding("the compressed answer has no end")

    def _through(self, index: int, data: bytes) -> Iterator[bytes]:
        self._sizes[index] += len(data)
        if self._sizes[index] > self._max_bytes:
            self.over = True
            return
        if index == len(self._layers):
            yield data
            return
        for piece in self._layers[index].feed(data):
            yield from self._through(index + 1, piece)
            if self.over:
                return


class _Layer:
    """One compression of a body."""

    def __init__(self, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate = zlib.decompressobj(wbits=31) if gzip else None
        self._spent = False
        self.begun = False

    @property
    def complete(self) -> bool:
        return self._spent or (self._inflate is not None and self._inflate.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _INPUT_BYTES):
            yield from self._some(data[start : start + _INPUT_BYTES])

    def _some(self, data: bytes) -> Iterator[bytes]:
        if data and self._inflate is None:
            # "deflate" is said of both forms; the first byte of the right one names its method.
            self._inflate = zlib.decompressobj(wbits=15 if data[0] & 15 == 8 else -15)
        more = bool(data)
        while more and not self._spent:
            assert self._inflate is not None  # noqa: S101  # for the type checker
            if self._inflate.eof:
                # Another member, or padding, which is of no interest.
                if not self._gzip or data[0] != 0x1F:
                    self._spent = True
                    return
                self._inflate = zlib.decompressobj(wbits=31)
            self.begun = True
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise BrokenEncoding("the compressed answer is damaged") from error
            if piece:
                yield piece
            if self._inflate.eof:
                data = self._inflate.unused_data
                more = bool(data)
            else:
                # A full piece may have more behind it, though all input is taken.
                data = self._inflate.unconsumed_tail
                more = bool(data) or len(piece) == PIECE_BYTES
