"""The stand-alone checker says the same of every document as the product does."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import open_ledger
from ledger.seals.checking import check_document
from ledger.seals.heads import head_from, key_from, pem_of, signing_key
from ledger.seals.proving import prove, prove_consistency
from ledger.seals.sealing import seal
from tests.ledger.sealed import fill_and_seal
from tests.places import SQLitePlaces, a_place

CHECKER = Path(__file__).parents[2] / "cli" / "standalone_check.py"
LINES_MAX = 149
Document = dict[str, Any]


class Material:
    """Documents of one ledger, and a public key of another."""

    def __init__(self, places: SQLitePlaces) -> None:
        with a_place(places) as address, open_ledger(address) as ledger:
            empty = seal(ledger)
            first, second = fill_and_seal(ledger)
            self.key = pem_of(signing_key(ledger.keys.signing).public_key())
            self.heads = [head.document() for head in (empty, first, second)]
            self.proofs = [
                *prove(ledger, [1, 700, 1_024, 1_300]),
                prove_consistency(ledger, first, second),
                prove_consistency(ledger, empty, second),
                prove_consistency(ledger, second, second),
            ]
        self.strange_key = pem_of(signing_key(b"s" * 32).public_key())


@pytest.fixture(scope="module")
def material(sqlite_places: SQLitePlaces) -> Material:
    return Material(sqlite_places)


@pytest.fixture(scope="module")
def checker() -> Any:
    """The script, loaded as a module."""
    names: dict[str, Any] = {"__name__": "checker"}
    exec(compile(CHECKER.read_text("utf-8"), str(CHECKER), "exec"), names)
    return names


def theirs(
    checker: Any, document: Document, key: str | None = None, head: Document | None = None
) -> bool:
    """Whether the script finds a document good."""
    try:
        checker["check"](document, key and key.encode(), head)
    except (checker["Bad"], ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def ours(document: Document, key: str | None = None, head: Document | None = None) -> bool:
    """Whether the product does."""
    known = head_from(head) if head else None
    return check_document(document, key=key_from(key) if key else None, head=known).ok


def test_it_needs_only_the_standard_library_and_cryptography() -> None:
    source = CHECKER.read_text("utf-8")
    assert len(source.splitlines()) <= LINES_MAX
    roots = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert roots - sys.stdlib_module_names == {"cryptography"}


def test_it_says_what_the_product_says(checker: Any, material: Material) -> None:
    documents = [*material.proofs, *material.heads]
    for document in documents:
        for key in (None, material.key, material.strange_key):
            for head in (None, *material.heads):
                found = ours(document, key, head)
                assert theirs(checker, document, key, head) == found
        kind = document["format"]
        assert ours(document, material.key), kind
        assert not ours(document, material.strange_key)


def test_it_takes_none_of_the_changes_that_the_product_refuses(
    checker: Any, material: Material
) -> None:
    refused = 0
    for document in material.proofs:
        for changed in changes(document):
            assert not ours(changed)
            assert not theirs(checker, changed)
            refused += 1
    assert refused > 100


def changes(document: Any) -> Iterator[Any]:
    """The document with one character, or number, changed; the key apart."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in items:
        if name in ("public_key", "format"):
            continue
        if isinstance(value, dict | list):
            inner: Iterator[Any] = changes(value)
        elif isinstance(value, int):
            inner = iter([value + 1, value ^ 1 << 20])
        else:
            middle = len(value) // 2
            other = "0" if value[middle : middle + 1] != "0" else "1"
            inner = iter([value[:middle] + other + value[middle + 1 :]])
        for replaced in inner:
            copied = dict(document) if isinstance(document, dict) else list(document)
            copied[name] = replaced
            yield copied


def test_it_runs_as_a_program(material: Material, tmp_path: Path) -> None:
    good, bad, key = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "key.pem"
    good.write_text(json.dumps(material.proofs[0]))
    bad.write_text(json.dumps({**material.proofs[0], "path": []}))
    key.write_text(material.key)
    for path, code, said in ((good, 0, "GOOD: position 1 is in"), (bad, 5, "BAD: ")):
        ran = subprocess.run(
            [sys.executable, "-I", str(CHECKER), str(path), "--key", str(key)],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (code, "")
        assert ran.stdout.startswith(said)
