"""The tree is RFC 9162's: its own example, the roots of an independent implementation, and proofs that cannot lie."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from bandung.gateway.domain.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    frontier_of,
    inclusion_proof,
    leaf_hash,
    node_from_tiles,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from bandung.gateway.store.merkle import Tree

CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def a_leaf(number):
    return leaf_hash(str(number).encode())


def root_of(leaves):
    """The definition, literally: RFC 9162 section 2.1.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:half]), root_of(leaves[half:]))


def node_of(leaves):
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])


def grown(leaves):
    tree = Tree(Frontier(), {})
    for leaf in leaves:
        tree.append(leaf)
    return tree


def test_the_root_of_the_certificate_transparency_test_leaves_is_the_published_one():
    assert grown([leaf_hash(bytes.fromhex(leaf)) for leaf in CT_LEAVES]).frontier.root().hex() == CT_ROOT


def test_an_empty_tree_has_the_hash_of_nothing():
    assert Frontier().root() == EMPTY_ROOT == root_of([])


def test_proofs_are_those_of_the_example_in_the_rfc():
    a, b, c, d, e, f, j = leaves = [a_leaf(number) for number in range(7)]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741  (the letters of the RFC's drawing)
    node = node_of(leaves)
    assert inclusion_proof(node, 0, 7) == (b, h, l)
    assert inclusion_proof(node, 3, 7) == (c, g, l)
    assert inclusion_proof(node, 4, 7) == (f, j, k)
    assert inclusion_proof(node, 6, 7) == (i, k)
    assert consistency_proof(node, 3, 7) == (c, d, g, l)
    assert consistency_proof(node, 4, 7) == (l,)
    assert consistency_proof(node, 6, 7) == (i, j, k)


def test_every_root_equals_that_of_an_independent_implementation():
    theirs = InmemoryTree(algorithm="sha256")
    ours = Tree(Frontier(), {})
    for number in range(600):
        theirs.append_entry(str(number).encode())
        ours.append(a_leaf(number))
        if number < 70 or number % 64 < 2:
            assert ours.frontier.root() == theirs.get_root()


@given(st.integers(min_value=0, max_value=70_000))
def test_a_tree_read_back_from_its_tiles_is_the_tree_that_was_grown(size):
    # Equal leaves make every complete node of a level equal, so that large trees cost nothing.
    levels = [a_leaf(0)]
    for _ in range(17):
        levels.append(node_hash(levels[-1], levels[-1]))
    tiles = node_from_tiles(lambda level, _: levels[8 * level] * 256)
    read = frontier_of(tiles, size)
    assert read.nodes == tuple(levels[level] for level in reversed(range(17)) if size >> level & 1)


@given(st.integers(min_value=1, max_value=700))
def test_tiles_hold_the_nodes_that_the_definition_gives(size):
    leaves = [a_leaf(number) for number in range(size)]
    tree = grown(leaves)
    tiles = {(level, position): hashes for level, position, hashes in tree.take_changed()}
    node = node_from_tiles(lambda level, position: tiles.get((level, position), b""))
    assert frontier_of(node, size) == tree.frontier
    assert tree.frontier.root() == root_of(leaves)
    assert set(tiles) == {(0, p) for p in range((size + 255) // 256)} | ({(1, 0)} if size >= 256 else set())


def test_a_tile_that_is_too_short_is_an_error():
    node = node_from_tiles(lambda _level, _position: a_leaf(0))
    with pytest.raises(LookupError):
        node(1, 0)


@given(st.integers(min_value=1, max_value=40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_each_leaf_proves_its_own_place_and_no_other(place):
    size, index = place
    leaves = [a_leaf(number) for number in range(size)]
    root = root_of(leaves)
    proof = inclusion_proof(node_of(leaves), index, size)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    assert not verify_inclusion(a_leaf("forged"), index, size, proof, root)
    assert not verify_inclusion(leaves[index], index, size, proof, a_leaf("other root"))
    assert not verify_inclusion(leaves[index], index, size, (*proof, root), root)
    assert not verify_inclusion(leaves[index], size, size, proof, root)
    assert not any(verify_inclusion(leaves[index], other, size, proof, root) for other in range(size) if other != index)


@given(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted), st.data())
def test_a_longer_tree_proves_that_it_extends_a_shorter_one_and_a_rewritten_one_cannot(sizes, data):
    old_size, new_size = sizes
    leaves = [a_leaf(number) for number in range(new_size)]
    old, new = (old_size, root_of(leaves[:old_size])), (new_size, root_of(leaves))
    proof = consistency_proof(node_of(leaves), old_size, new_size) if 0 < old_size < new_size else ()
    assert verify_consistency(old, new, proof)
    if old_size:
        rewritten = list(leaves)
        rewritten[data.draw(st.integers(0, old_size - 1))] = a_leaf("rewritten")
        forged = consistency_proof(node_of(rewritten), old_size, new_size) if old_size < new_size else ()
        assert not verify_consistency(old, (new_size, root_of(rewritten)), forged)
        assert not verify_consistency(new, (old_size - 1, root_of(leaves[: old_size - 1])), proof)
