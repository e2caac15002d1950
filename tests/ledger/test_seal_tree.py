"""The tree of RFC 6962: published vectors, another implementation, and the laws of its proofs."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.seals.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_from_inclusion,
    root_of,
    roots_from_consistency,
)

# From the tests of Certificate Transparency (google/certificate-transparency, merkle_tree_test).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSIONS = [
    (1, 1, []), (1, 8, [A, B, C]), (6, 8, [D, E, ROOTS[4]]), (3, 3, [ROOTS[2]]),
    (2, 5, [ROOTS[1], B, D]),
]  # fmt: skip
"""Of the leaf, counted from 1, in a tree of so many."""
CONSISTENCIES = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[4]]), (2, 5, [B, D])]

leaves = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


class Tree:
    """A tree of some leaves, with the roots of its parts."""

    def __init__(self, contents: list[bytes]) -> None:
        self.hashes = list(map(leaf_hash, contents))

    def root(self, first: int = 0, last: int | None = None) -> bytes:
        return root_of(b"".join(self.hashes[first:last]))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert Tree(INPUTS[:size]).root().hex() == ROOTS[size]


@pytest.mark.parametrize(("number", "size", "path"), INCLUSIONS)
def test_inclusion_paths_are_those_of_certificate_transparency(
    number: int, size: int, path: list[str]
) -> None:
    tree = Tree(INPUTS[:size])
    assert [node.hex() for node in inclusion_path(number - 1, size, tree.root)] == path


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCIES)
def test_consistency_paths_are_those_of_certificate_transparency(
    old: int, size: int, path: list[str]
) -> None:
    tree = Tree(INPUTS[:size])
    assert [node.hex() for node in consistency_path(old, size, tree.root)] == path


@given(leaves, st.data())
def test_roots_and_inclusion_are_those_of_pymerkle(
    contents: list[bytes], data: st.DataObject
) -> None:
    theirs = InmemoryTree(algorithm="sha256")
    for content in contents:
        theirs.append_entry(content)
    ours = Tree(contents)
    assert ours.root() == theirs.get_root()
    index = data.draw(st.integers(0, len(contents) - 1))
    proof = theirs.prove_inclusion(index + 1)
    # Their path begins with the leaf itself.
    path = inclusion_path(index, len(contents), ours.root)
    assert sorted([ours.hashes[index], *path]) == sorted(proof.path)


@given(leaves, st.data())
def test_a_tree_that_grows_by_parts_is_the_same_tree(
    contents: list[bytes], data: st.DataObject
) -> None:
    whole = Tree(contents)
    ends = sorted(data.draw(st.sets(st.integers(0, len(contents)))) | {len(contents)})
    tree, at = Frontier(), 0
    assert tree.root() == EMPTY_ROOT
    for end in ends:
        tree = Frontier(tree.size, tree.roots)  # as if it were read back from where it is kept
        tree.extend(b"".join(whole.hashes[at:end]))
        assert (tree.size, tree.root()) == (end, whole.root(0, end))
        at = end


@given(leaves, st.data())
def test_what_is_in_the_tree_leads_to_its_root_and_nothing_else_does(
    contents: list[bytes], data: st.DataObject
) -> None:
    tree, size = Tree(contents), len(contents)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, tree.root)
    assert root_from_inclusion(tree.hashes[index], index, size, path) == tree.root()
    bit = data.draw(st.integers(0, (len(path) + 1) * HASH_BYTES * 8 - 1))
    leaf, *changed = flipped([tree.hashes[index], *path], bit)
    assert root_from_inclusion(leaf, index, size, changed) != tree.root()
    for wrong in (path[:-1], [*path, sha256(b"more").digest()]):
        if wrong != path:
            with pytest.raises(ValueError, match="path is too"):
                root_from_inclusion(tree.hashes[index], index, size, wrong)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=70), st.data())
def test_a_tree_begins_with_every_older_one_and_with_no_other(
    contents: list[bytes], data: st.DataObject
) -> None:
    tree, size = Tree(contents), len(contents)
    old = data.draw(st.integers(1, size - 1))
    path = consistency_path(old, size, tree.root)
    roots = (tree.root(0, old), tree.root())
    assert roots_from_consistency(old, size, roots[0], path) == roots
    bit = data.draw(st.integers(0, (len(path) + 2) * HASH_BYTES * 8 - 1))
    before, after, *changed = flipped([*roots, *path], bit)
    assert roots_from_consistency(old, size, before, changed) != (before, after)


def flipped(hashes: list[bytes], bit: int) -> list[bytes]:
    """The hashes with one bit of all of them changed."""
    whole = bytearray(b"".join(hashes))
    whole[bit // 8] ^= 1 << bit % 8
    return [bytes(whole[at : at + HASH_BYTES]) for at in range(0, len(whole), HASH_BYTES)]
