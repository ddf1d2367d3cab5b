"""Merkle trees of RFC 9162 §2.1, grown leaf by leaf and read from tiles.

Nodes are named by (level, index): level 0 holds the leaf hashes, and node (l, i) covers the leaves
i·2^l … (i+1)·2^l - 1. Only complete nodes are ever stored; they lie in tiles of 256 hashes, eight levels apart
(C2SP tlog-tiles): hash (8·t, i) is hash number i mod 256 of tile (t, i div 256).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
TILE_LEVELS = 8
TILE_WIDTH = 1 << TILE_LEVELS
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""Gives the hash of the complete node (level, index)."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ data): RFC 9162 §2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right): RFC 9162 §2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a tree to append to it: its size and its largest complete nodes, left to right."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def completed_by(self, leaf: bytes) -> tuple[bytes, ...]:
        """Return the hashes of the nodes that this leaf completes, by level from 0 (the leaf itself)."""
        completed = [leaf]
        for left, level in zip(reversed(self.nodes), range(self.size.bit_length()), strict=False):
            if not self.size >> level & 1:
                break
            completed.append(node_hash(left, completed[-1]))
        return tuple(completed)

    def append(self, completed: tuple[bytes, ...]) -> Frontier:
        """Return the frontier after the leaf that `completed_by` was asked about."""
        kept = self.nodes[: len(self.nodes) - len(completed) + 1]
        return Frontier(self.size + 1, (*kept, completed[-1]))

    def root(self) -> bytes:
        """Return the tree's root hash."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            root = node_hash(left, root)
        return root


def frontier_of(node: Node, size: int) -> Frontier:
    """Read the frontier of a tree of `size` leaves from its nodes."""
    return Frontier(size, tuple(node(level, index) for level, index in _largest_nodes(size)))


def node_from_tiles(tile: Node) -> Node:
    """Return the node reader over tiles; `tile` gives the hashes of (tile level, tile index), one after another.

    Raises:
        LookupError: (by the reader) the tile is too short to hold the node.
    """

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_LEVELS)
        tile_index, first = divmod(index << height, TILE_WIDTH)
        hashes = split(tile(tile_level, tile_index))[first : first + (1 << height)]
        if len(hashes) != 1 << height:
            raise LookupError(f"tile {tile_level}/{tile_index} is too short for node {level}/{index}")
        while len(hashes) > 1:
            hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]

    return node


def split(hashes: bytes) -> list[bytes]:
    """Cut concatenated hashes apart."""
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]


def inclusion_proof(node: Node, index: int, size: int) -> tuple[bytes, ...]:
    """Return the path from leaf `index` to the root of the first `size` leaves: RFC 9162 §2.1.3.1."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split_point(end - start)
        if index < middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, start, middle))
            start = middle
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf is number `index` of the tree (size, root): RFC 9162 §2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            computed = node_hash(sibling, computed)
            at, last = _up_to_odd(at, last)
        else:
            computed = node_hash(computed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and computed == root


def consistency_proof(node: Node, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """Return what shows that the first `old_size` leaves are unchanged in the larger tree: RFC 9162 §2.1.4.1."""
    path: list[bytes] = []
    start, end, known = 0, new_size, True
    while old_size != end:
        middle = start + _split_point(end - start)
        if old_size <= middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, start, middle))
            start, known = middle, False
    if not known:
        path.append(_subtree(node, start, end))
    return tuple(reversed(path))


def verify_consistency(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Whether the tree `new` (size, root) extends the tree `old`: RFC 9162 §2.1.4.2; everything extends nothing."""
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size in {0, new_size}:
        return not proof and (old_size == 0 or old_root == new_root)
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if old_size > new_size or not path:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_computed, new_computed = node_hash(sibling, old_computed), node_hash(sibling, new_computed)
            at, last = _up_to_odd(at, last)
        else:
            new_computed = node_hash(new_computed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old_computed == old_root and new_computed == new_root


def _largest_nodes(size: int) -> Iterator[tuple[int, int]]:
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            yield level, start >> level
            start += 1 << level


def _subtree(node: Node, start: int, end: int) -> bytes:
    """Return the root over leaves start … end - 1 of which the start is aligned: complete nodes, folded."""
    nodes = [node(level, (start >> level) + index) for level, index in _largest_nodes(end - start)]
    return Frontier(end - start, tuple(nodes)).root()


def _split_point(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _up_to_odd(at: int, last: int) -> tuple[int, int]:
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last
