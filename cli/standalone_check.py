"""Checks what a Touchstone ledger has signed, without Touchstone: this file and `cryptography`.

    python check.py FILE [--head HEAD] [--key PEM]

FILE is a proof or a head, as `touchstone audit` writes them; HEAD a head that you have kept, PEM
the public key that you were given. Exit code 5 if it proves nothing. See docs/AUDIT.md.
"""

import argparse
import json
import struct
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

HEAD, INCLUSION, CONSISTENCY = (f"touchstone-{n}-1" for n in ("head", "inclusion", "consistency"))


class Bad(Exception):
    """What is wrong with a document."""


def need(holds, reason):
    """Raise Bad with the reason unless it holds."""
    if not holds:
        raise Bad(reason)


def node(left, right):
    """The hash above two others (RFC 6962, section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hash(leaf):
    """The hash of a stored event: three numbers, six lengths, and then the parts themselves."""
    parts = [leaf[name].encode() for name in ("topic", "source", "id", "stream")]
    parts += [b64decode(leaf[name], validate=True) for name in ("digest", "state")]
    numbers = [leaf["position"], leaf["recorded_at"], leaf["version"]]
    sizes = struct.pack(">3q6I", *numbers, *map(len, parts))
    return sha256(b"\x00" + sizes + b"".join(parts)).digest()


def check_head(head, key):
    """The signature of a head: over five lines, each with its end."""
    key_id = sha256(key.public_bytes_raw()).hexdigest()[:16]
    need(head["format"] == HEAD and head["key_id"] == key_id, "it is no head of this key")
    lines = "".join(f"{head[n]}\n" for n in ("format", "ledger_id", "size", "root", "time"))
    try:
        key.verify(b64decode(head["signature"], validate=True), lines.encode())
    except InvalidSignature:
        raise Bad(f"the signature of the head of {head['size']} is wrong") from None


def check_inclusion(proof, path):
    """Follow the path from a leaf to the root (RFC 9162, section 2.1.3.2)."""
    head = proof["head"]
    at, last, found = proof["leaf"]["position"] - 1, head["size"] - 1, leaf_hash(proof["leaf"])
    need(0 <= at <= last, "there is no such position under the head")
    for beside in path:
        need(last, "the path is too long")
        if at & 1 or at == last:
            found = node(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, beside)
        at, last = at >> 1, last >> 1
    need(not last and found.hex() == head["root"], "the touchpoint is not in the log of the head")


def check_consistency(old, new, path):
    """Follow the path to the roots of both heads (RFC 9162, section 2.1.4.2)."""
    need(old["ledger_id"] == new["ledger_id"], "the heads are those of two ledgers")
    need(old["size"] <= new["size"], "the newer log is the shorter one")
    if old["size"] in (0, new["size"]):
        root = new["root"] if old["size"] else sha256().hexdigest()
        need(old["root"] == root and not path, "the heads differ where they cannot")
        return
    at, last = old["size"] - 1, new["size"] - 1
    if not old["size"] & at:  # a power of two: the older root is itself in the newer tree
        path = [bytes.fromhex(old["root"]), *path]
    need(path, "the path is too short")
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for beside in path[1:]:
        need(last, "the path is too long")
        if at & 1 or at == last:
            before, after = node(beside, before), node(beside, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node(after, beside)
        at, last = at >> 1, last >> 1
    need(not last, "the path is too short")
    need(
        (before.hex(), after.hex()) == (old["root"], new["root"]),
        "the newer log does not begin with the older one",
    )


def check(document, pem=None, known=None):
    """Check a document; returns what it shows, in words. Raises Bad."""
    kind = document.get("format")
    need(kind in (HEAD, INCLUSION, CONSISTENCY), "it is neither a head nor a proof")
    need(pem or kind != HEAD, "a head alone is checked with the public key: --key PEM")
    key = load_pem_public_key(pem or document["public_key"].encode())
    names = {HEAD: (), INCLUSION: ("head",), CONSISTENCY: ("from", "to")}[kind]
    heads = [document[name] for name in names] or [document]
    for head in heads:
        check_head(head, key)
    path = [bytes.fromhex(text) for text in document.get("path", ())]
    said = f"the log of {heads[-1]['size']}, signed at {heads[-1]['time']}"
    if kind == INCLUSION:
        check_inclusion(document, path)
        said = f"position {document['leaf']['position']} is in {said}"
    elif kind == CONSISTENCY:
        check_consistency(heads[0], heads[1], path)
        said += f" goes on from that of {heads[0]['size']}, signed at {heads[0]['time']}"
    if known is not None:
        fits = any(all(h[n] == known[n] for n in ("ledger_id", "size", "root")) for h in heads)
        need(fits, "it does not speak of the head that was kept, or differs from it")
    return said


def main():
    """Check the file that is named, and say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--head", type=Path, help="a head that you have kept")
    parser.add_argument("--key", type=Path, help="the public key (PEM)")
    given = parser.parse_args()
    try:
        known = json.loads(given.head.read_bytes()) if given.head else None
        pem = given.key.read_bytes() if given.key else None
        said, code = f"GOOD: {check(json.loads(given.file.read_bytes()), pem, known)}", 0
    except Bad as bad:
        said, code = f"BAD: {bad}", 5
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        said, code = "BAD: it is not whole, or has values that no proof has", 5
    sys.exit(sys.stdout.write(f"{said}\n") and code)


if __name__ == "__main__":
    main()
