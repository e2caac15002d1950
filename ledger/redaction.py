"""Redaction: taking out of a record what an erasure has overtaken on its way into the log.

`Vault.protect` encrypts before the writer lock is held. Whether a subject was erased in between
is known under the lock, from the table `erased_subjects`; what it says is final.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from ledger.personal import NOT_COMPARED, REDACTED
from ledger.record import Record
from ledger.store import Cursor
from schemas.personal_fields import personal_fields
from schemas.registry import BY_TYPE

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def without_erased(records: Sequence[Record], cursor: Cursor) -> list[Record]:
    """The records without anything personal to subjects that are erased; under the writer lock."""
    some = cursor.execute("SELECT 1 FROM erased_subjects LIMIT 1").fetchone()
    keyed = {subject for record in records for subject in record.keyed} if some else set()
    if not keyed:
        return list(records)
    erased = erased_among(keyed, cursor)
    return [redacted(r, erased) if erased.intersection(r.keyed) else r for r in records]


def erased_among(subjects: Collection[str], cursor: Cursor) -> set[str]:
    """Those of these (stored) subjects that are erased."""
    rows = cursor.execute(
        f"SELECT subject FROM erased_subjects WHERE subject {cursor.AMONG}",
        (cursor.listed(subjects),),
    )
    return {subject for (subject,) in rows}


def redacted(record: Record, erased: Collection[str]) -> Record:
    """The record without anything that is personal to these (stored) subjects.

    The same as `Vault.protect` makes of it where their keys were destroyed before: REDACTED for
    its personal fields, no token, no digest over them, no original of an address that is one of
    these subjects. A record that has nothing of theirs is given back as it is.
    """
    envelope = _decode(record.state)
    own = record.subject in erased
    hidden = _drop_values(envelope, erased)
    covered = own and _redact_fields(envelope)
    extended = own and envelope.pop("extensions", None) is not None
    if not (hidden or covered or extended):
        return record
    keyed = tuple(subject for subject in record.keyed if subject not in erased)
    changed = msgspec.structs.replace(record, state=_encode(envelope), keyed=keyed)
    if not covered:
        return changed
    ties = tuple(tie for tie in record.ties if tie not in record.tokens)
    return msgspec.structs.replace(changed, tokens=(), ties=ties, digest=NOT_COMPARED)


def _redact_fields(envelope: dict[str, Any]) -> bool:
    """Put REDACTED into every personal field that is there; True if there is any."""
    found = False
    for field in personal_fields(BY_TYPE[envelope["type"]]):
        here: Any = envelope["data"]
        for name in field.path[:-1]:
            here = here.get(name) or {}
        if field.path[-1] in here:
            here[field.path[-1]] = REDACTED
            found = True
    return found


def _drop_values(envelope: dict[str, Any], erased: Collection[str]) -> bool:
    """Leave out the originals of erased subjects; True if there were any."""
    values: dict[str, str] = envelope.pop("values", {})
    kept = {path: v for path, v in values.items() if _named(envelope, path) not in erased}
    if kept:
        envelope["values"] = kept
    return len(kept) < len(values)


def _named(envelope: dict[str, Any], path: str) -> Any:
    """The stored subject at the path of an original."""
    here: Any = envelope
    for name in path.split("."):
        here = here[name]
    return here
