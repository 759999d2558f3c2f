"""Trees of parts: what grows at its end keeps them, and no bytes can pass for a list."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.store.ropes import FAN, Node, pack, rope, unpack


def nodes(node: Node) -> dict[bytes, Node]:
    found = {node.digest: node}
    for below in node.below:
        found |= nodes(below)
    return found


def parts(count: int) -> list[bytes]:
    return [b"part %d" % n for n in range(count)]


def test_one_part_is_a_leaf_of_its_own_hash() -> None:
    assert rope([b"x"]) == Node(hashlib.sha256(b"x").digest(), 1, b"x")


def test_a_tree_is_as_deep_as_it_must_be() -> None:
    assert [rope(parts(n)).depth for n in (1, 2, FAN, FAN + 1, FAN**2, FAN**2 + 1)] == [
        *(0, 1, 1, 2, 2, 3)
    ]
    assert rope(parts(5_000)).length == sum(map(len, parts(5_000)))


def test_growth_makes_a_few_new_nodes_however_long_it_is() -> None:
    for count in (10, 100, 1_000, 3_000):
        old, new = nodes(rope(parts(count))), nodes(rope(parts(count + 1)))
        lists = [node for digest, node in new.items() if digest not in old and node.below]

        assert len(lists) <= 4
        assert sum(len(node.below) for node in lists) <= 4 * FAN


def test_no_bytes_have_the_digest_of_a_list() -> None:
    tree = rope(parts(2))
    forged = b"".join(node.digest for node in tree.below)

    assert len(tree.digest) == 33
    assert len(rope([forged]).digest) == 32
    assert rope(parts(FAN + 1)).below[0].digest != rope(parts(FAN + 1)).digest


@settings(max_examples=200)
@given(st.integers(0, 2**40), st.lists(st.integers(1, 2**62)))
def test_lists_are_read_as_they_were_packed(length: int, ids: list[int]) -> None:
    assert unpack(pack(length, ids)) == (length, ids)


def test_neighbours_take_a_byte_each() -> None:
    assert len(pack(100, [70_000 + n for n in range(FAN)])) == 1 + 3 + FAN - 1
