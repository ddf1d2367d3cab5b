"""The ledger's Merkle tree as tiles in the database, and as its only writer holds it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from bandung.gateway.domain.checkpoint import Checkpoint, LogVerifier
from bandung.gateway.domain.merkle import (
    HASH_BYTES,
    TILE_LEVELS,
    TILE_WIDTH,
    Frontier,
    Node,
    frontier_of,
    node_from_tiles,
)
from bandung.gateway.store.database import ledger_checkpoint, ledger_entry, ledger_tile


class Tampered(Exception):
    """What is stored contradicts itself or the ledger's signature. The text is for the operator."""


class Tree:
    """A tree that grows, with the tiles that are not yet full. For one thread at a time.

    Attributes:
        frontier: size and root come from here.
    """

    def __init__(self, frontier: Frontier, unfinished: dict[int, bytes]) -> None:
        self.frontier = frontier
        self._unfinished = unfinished
        self._changed: dict[tuple[int, int], bytes] = {}

    def append(self, leaf: bytes) -> int:
        """Append a leaf hash and return its index."""
        index = self.frontier.size
        completed = self.frontier.completed_by(leaf)
        self.frontier = self.frontier.append(completed)
        for tile_level, completed_hash in enumerate(completed[::TILE_LEVELS]):
            hashes = self._unfinished.get(tile_level, b"") + completed_hash
            self._changed[tile_level, index >> TILE_LEVELS * (tile_level + 1)] = hashes
            self._unfinished[tile_level] = b"" if len(hashes) == TILE_WIDTH * HASH_BYTES else hashes
        return index

    def take_changed(self) -> list[tuple[int, int, bytes]]:
        """Return (level, position, hashes) of the tiles changed since the last call, whole."""
        changed = [(level, position, hashes) for (level, position), hashes in self._changed.items()]
        self._changed = {}
        return changed


def stored_node(connection: Connection) -> Node:
    """Return a reader of the tree's complete nodes; each tile is read from the database once.

    Raises:
        Tampered: (by the reader) a tile is missing or too short.
    """
    known: dict[tuple[int, int], bytes] = {}

    def tile(level: int, position: int) -> bytes:
        if (level, position) not in known:
            known[level, position] = stored_tile(connection, level, position)
        return known[level, position]

    read = node_from_tiles(tile)

    def node(level: int, index: int) -> bytes:
        try:
            return read(level, index)
        except LookupError as error:
            raise Tampered(str(error)) from error

    return node


def stored_tree(connection: Connection, size: int) -> Tree:
    """Read the tree of `size` leaves, ready to grow.

    Raises:
        Tampered: a tile on the tree's edge is missing, or longer or shorter than the size says.
    """
    unfinished: dict[int, bytes] = {}
    level = 0
    while size >> TILE_LEVELS * level:
        tiles, count = divmod(size >> TILE_LEVELS * level, TILE_WIDTH)
        unfinished[level] = stored_tile(connection, level, tiles)
        if len(unfinished[level]) != count * HASH_BYTES:
            raise Tampered(f"tile {level}/{tiles} does not hold {count} hashes")
        level += 1
    return Tree(frontier_of(stored_node(connection), size), unfinished)


def verified_tree(connection: Connection, verifier: LogVerifier) -> Tree:
    """Read the tree and hold it against the newest checkpoint.

    Raises:
        Tampered: tiles, checkpoint and entries do not agree.
        BadCheckpoint: the checkpoint is not signed by the ledger's key.
    """
    newest = select(ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size.desc()).limit(1)
    note = connection.execute(newest).scalar()
    entries = connection.execute(select(func.coalesce(func.max(ledger_entry.c.position), -1))).scalar_one() + 1
    checkpoint = verifier.verify(note) if note else Checkpoint(0, Frontier().root())
    if entries != checkpoint.size:
        raise Tampered(f"there are {entries} entries, but the checkpoint says {checkpoint.size}")
    tree = stored_tree(connection, checkpoint.size)
    if tree.frontier.root() != checkpoint.root:
        raise Tampered(f"the tiles do not have the root of the checkpoint of size {checkpoint.size}")
    return tree


def stored_tile(connection: Connection, level: int, position: int) -> bytes:
    """Return the tile's hashes, one after another; empty if there is no such tile."""
    where = (ledger_tile.c.level == level) & (ledger_tile.c.position == position)
    return connection.execute(select(ledger_tile.c.hashes).where(where)).scalar() or b""
