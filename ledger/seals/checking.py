"""Checking heads and proofs, without a ledger: what a stranger can do with the documents alone.

`cli/standalone_check.py` does the same without any of our code.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.seals.heads import HEAD, SealedHead, Unusable, head_from, key_from
from ledger.seals.leaves import Leaf
from ledger.seals.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    leaf_hash,
    root_from_inclusion,
    roots_from_consistency,
)

INCLUSION = "touchstone-inclusion-1"
CONSISTENCY = "touchstone-consistency-1"


class Checked(msgspec.Struct, kw_only=True):
    """What a document comes to. Its heads are those that it speaks of, the newest last.

    `trusted` says that its public key, or its head, is one that the person who checks has from
    elsewhere; else the document proves only that it fits together.
    """

    kind: str
    ok: bool
    reason: str | None = None
    trusted: bool = False
    heads: list[SealedHead] = []
    leaf: Leaf | None = None


class _Wrong(Exception):
    """The document does not prove what it says."""


def check_document(
    document: Any, *, key: Ed25519PublicKey | None = None, head: SealedHead | None = None
) -> Checked:
    """Check a head, an inclusion proof or a consistency proof.

    `key` is the public key to be trusted, instead of the one in the document; `head` is one that
    was kept elsewhere, and that must be one of the document's.
    """
    kind = document.get("format") if isinstance(document, Mapping) else None
    names = {HEAD: "head", INCLUSION: "inclusion", CONSISTENCY: "consistency"}
    checked = Checked(
        kind=names.get(kind, "unknown") if isinstance(kind, str) else "unknown", ok=False
    )
    try:
        if checked.kind == "unknown":
            raise _Wrong("it is neither a head nor a proof of Touchstone")
        _check(document, checked, key)
        _check_head(checked.heads, head)
    except (_Wrong, Unusable) as wrong:
        checked.reason = str(wrong)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError):
        checked.reason = "the document is not whole, or has values that none has"
    else:
        checked.ok = True
        checked.trusted = key is not None or head is not None
    return checked


def _check(document: Mapping[str, Any], checked: Checked, key: Ed25519PublicKey | None) -> None:
    if checked.kind == "head":
        checked.heads = [head_from(document)]
        if key is None:
            raise _Wrong("a head alone is checked with the public key: name it with --key")
        _check_signatures(checked.heads, key)
        return
    names = ("head",) if checked.kind == "inclusion" else ("from", "to")
    checked.heads = [head_from(document[name]) for name in names]
    _check_signatures(checked.heads, key or key_from(document["public_key"]))
    path = [_hash_from(node) for node in document["path"]]
    if checked.kind == "inclusion":
        checked.leaf = _leaf_from(document["leaf"])
        _check_inclusion(checked.leaf, checked.heads[0], path)
    else:
        _check_consistency(checked.heads[0], checked.heads[1], path)


def _check_signatures(heads: list[SealedHead], key: Ed25519PublicKey) -> None:
    for head in heads:
        if not head.is_signed_by(key):
            raise _Wrong(f"the head of {head.size:,} is not signed by this key")


def _check_inclusion(leaf: Leaf, head: SealedHead, path: list[bytes]) -> None:
    try:
        root = root_from_inclusion(leaf_hash(leaf.content()), leaf.position - 1, head.size, path)
    except ValueError as error:
        raise _Wrong(f"the path does not lead from position {leaf.position}: {error}") from None
    if root != head.root:
        raise _Wrong(f"position {leaf.position} with this content is not in the log of the head")


def _check_consistency(old: SealedHead, new: SealedHead, path: list[bytes]) -> None:
    if old.ledger_id != new.ledger_id:
        raise _Wrong("the heads are those of two ledgers")
    if old.size > new.size:
        raise _Wrong(f"the log had {old.size:,} touchpoints, and then {new.size:,}")
    if old.size in (0, new.size):
        before, after = (EMPTY_ROOT if old.size == 0 else new.root), new.root
        if path:
            raise _Wrong("nothing is to be shown between these heads, but there is a path")
    else:
        try:
            before, after = roots_from_consistency(old.size, new.size, old.root, path)
        except ValueError as error:
            raise _Wrong(f"the path does not lead from one head to the other: {error}") from None
    if (before, after) != (old.root, new.root):
        raise _Wrong("the log of the newer head does not begin with the log of the older one")


def _check_head(heads: list[SealedHead], known: SealedHead | None) -> None:
    """A head that was kept elsewhere is one of the document's: the same root at the same size."""
    if known is None:
        return
    same = [h for h in heads if (h.ledger_id, h.size) == (known.ledger_id, known.size)]
    if not same:
        raise _Wrong(
            f"it does not speak of the head of {known.size:,} that was kept: "
            "`touchstone audit consistency` leads from one head to another"
        )
    if any(h.root != known.root for h in same):
        raise _Wrong(f"the head of {known.size:,} that was kept has another root")


def _hash_from(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != HASH_BYTES or found.hex() != text:
        raise ValueError("not a hash")
    return found


def _leaf_from(document: Any) -> Leaf:
    """Raises ValidationError, which is a ValueError, and ValueError for another way to say it."""
    found = msgspec.convert(document, Leaf)
    said = msgspec.structs.asdict(found)
    said |= {n: b64encode(getattr(found, n)).decode() for n in ("state", "digest")}
    if said != document:
        raise ValueError("more than a leaf, or in another form")
    return found
