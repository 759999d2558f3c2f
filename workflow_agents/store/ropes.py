"""Large data as a rope: a tree whose leaves are its parts. Pure.

A leaf has depth 0 and holds bytes. A list of depth n names up to `FAN` nodes of depth n - 1, so
data that grows at its end shares all but the right edge of the tree: a new list or two for
each level, however long it is.

Every node is found by its digest: of a leaf that of its bytes, of a list that of the digests of
what it names, which do not depend on any numbering. So whether a list is stored can be asked
before anything below it is looked at.
"""

from collections.abc import Sequence
from typing import NamedTuple

FAN = 32
"""How many nodes a list names at most."""


class Node(NamedTuple):
    """A node that is to be stored.

    Attributes:
        digest: of a leaf 32 bytes, of a list 33, of which the first is the depth; so that no
            leaf can pass for a list, whatever bytes somebody sends.
        length: of the data below it, in bytes.
        data: of a leaf: its bytes.
        below: of a list: what it names.
    """

    digest: bytes
    length: int
    data: bytes = b""
    below: "Sequence[Node]" = ()

    @property
    def depth(self) -> int:
        """0 for a leaf."""
        return self.digest[0] if self.below else 0


def rope(parts: Sequence[bytes]) -> Node:
    """The tree of these parts, of which there is at least one."""
    from hashlib import sha256 as sha  # most stores of a test or a script hold nothing large

    level = [Node(sha(part).digest(), len(part), part) for part in parts]
    depth = 0
    while len(level) > 1:
        depth += 1
        level = [_list(depth, level[at : at + FAN]) for at in range(0, len(level), FAN)]
    return level[0]


def _list(depth: int, below: Sequence[Node]) -> Node:
    digest = list_digest(depth, [node.digest for node in below])
    return Node(digest, sum(node.length for node in below), below=below)


def list_digest(depth: int, digests: Sequence[bytes]) -> bytes:
    """The digest of a list."""
    from hashlib import sha256

    return bytes([depth]) + sha256(b"".join(digests)).digest()


def pack(length: int, ids: Sequence[int]) -> bytes:
    """A list as it is stored: the length of the data, then each id as its distance from the last.

    Ids of what was stored together are neighbours, so most take a byte.
    """
    packed = bytearray()
    _put(packed, length)
    last = 0
    for one in ids:
        step, last = one - last, one
        _put(packed, step << 1 if step >= 0 else (-step << 1) - 1)
    return bytes(packed)


def unpack(packed: bytes) -> tuple[int, list[int]]:
    """The reverse of `pack`."""
    numbers: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
        else:
            shift += 7
    ids: list[int] = []
    last = 0
    for step in numbers[1:]:
        last += -((step + 1) >> 1) if step & 1 else step >> 1
        ids.append(last)
    return numbers[0], ids


def _put(packed: bytearray, number: int) -> None:
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)
