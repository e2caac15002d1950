"""Verifying: the whole log against its leaf hashes, its heads, and heads that were kept elsewhere.

What is found is the first bad position. A changed row differs from its leaf hash. Where somebody
has made the leaf hashes anew as well, the root of a head differs, and the first bad position lies
behind the last head that still fits.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.intake import Stop, StopRequested
from ledger.ledger import Ledger
from ledger.progress import Report, silent
from ledger.seals.heads import SealedHead, signing_key
from ledger.seals.kept import kept_until, seals
from ledger.seals.rereading import RANGE_LEAVES, Found, Range, Subtrees, reread
from ledger.seals.tree import Frontier


class Verified(msgspec.Struct, kw_only=True):
    """What a verification has found. `sealed` positions stand behind a head, `unsealed` do not.

    `first_bad` is a position; None where all are as they were, or a head alone is wrong.
    """

    touchpoints: int
    ok: bool
    first_bad: int | None
    sealed: int
    unsealed: int
    heads: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """A head, and what it is called where it does not fit."""

    head: SealedHead
    name: str


@dataclass(frozen=True, slots=True)
class _Picture:
    """Where the log ends, up to where it is sealed, and what is wrong at first sight."""

    end: int
    sealed: int
    witnesses: list[Witness]
    bad: int | None
    reason: str


def verify_log(
    ledger: Ledger,
    given: Sequence[Witness] = (),
    *,
    key: Ed25519PublicKey | None = None,
    workers: int = 1,
    report: Report = silent,
    stop: Stop | None = None,
) -> Verified:
    """Read the whole log again, up to where it ends now.

    `given` are heads that were kept elsewhere; `key` is the public key that has to have signed
    everything, the ledger's own by default. Raises StopRequested.
    """
    picture = _picture(ledger, given)
    key = key or signing_key(ledger.keys.signing).public_key()
    unsigned = _not_ours(picture.witnesses, ledger.keys.ledger_id, key)
    trusted = [w for w in picture.witnesses if w not in unsigned]
    bad, reason = _reread(ledger, picture, trusted, workers, report, stop)
    if bad is None:
        bad, reason = picture.bad, picture.reason
    if bad is None:
        bad, reason = _beyond(trusted, picture.end)
    if bad is None and unsigned:
        reason = f"{unsigned[0].name}: it is not signed by the key of this ledger"
    return Verified(
        touchpoints=picture.end,
        ok=bad is None and not reason,
        first_bad=bad,
        sealed=min(picture.sealed, picture.end),
        unsealed=max(0, picture.end - picture.sealed),
        heads=len(picture.witnesses),
        reason=reason or None,
    )


def _picture(ledger: Ledger, given: Sequence[Witness]) -> _Picture:
    with ledger.store.cursor() as cursor:
        (end,) = cursor.execute("SELECT position FROM head").fetchone()
        kept = seals(cursor)
        hashes = kept_until(cursor)
        (outside,) = cursor.execute(
            "SELECT min(notification_id) FROM stored_events "
            "WHERE notification_id > ? OR notification_id < 1",
            (end,),
        ).fetchone()
    witnesses = [*given, *(Witness(s.head, f"the seal {s.number}") for s in kept)]
    bad, reason = (outside, "a row is where none can be") if outside is not None else (None, "")
    if bad is None and hashes > end:
        bad, reason = end + 1, f"the log ends here, but leaf hashes are kept up to {hashes}"
    sealed = max((s.head.size for s in kept), default=0)
    return _Picture(end, sealed, witnesses, bad, reason)


def _not_ours(witnesses: Sequence[Witness], ledger_id: str, key: Ed25519PublicKey) -> list[Witness]:
    """Heads of another ledger, or without the signature of the key."""
    return [w for w in witnesses if w.head.ledger_id != ledger_id or not w.head.is_signed_by(key)]


def _reread(
    ledger: Ledger,
    picture: _Picture,
    witnesses: Sequence[Witness],
    workers: int,
    report: Report,
    stop: Stop | None,
) -> tuple[int | None, str]:
    """The first bad position up to the end of the log, and why."""
    tree = Frontier()
    judge = _Judge(witnesses, picture.end)
    ranges = list(_ranges(picture, judge.sizes))
    with closing(reread(ledger.address, ledger.store, ranges, workers)) as results:
        for result in results:
            bad = judge.first_bad(tree, result)
            if bad is not None:
                return bad
            if result.bad is not None:
                return result.bad, result.reason
            _extend(tree, result.subtrees)
            report("verifying", result.last, picture.end)
            if stop is not None and stop.requested:
                raise StopRequested
    return None, ""


def _ranges(picture: _Picture, sizes: Sequence[int]) -> Iterator[Range]:
    for first in range(1, picture.end + 1, RANGE_LEAVES):
        last = min(first + RANGE_LEAVES - 1, picture.end)
        inside = tuple(size for size in sizes if first <= size <= last)
        yield Range(first, last, picture.sealed, inside)


class _Judge:
    """Holds heads against the tree that the log makes now, in the order of their sizes."""

    def __init__(self, witnesses: Sequence[Witness], end: int) -> None:
        self._by_size: dict[int, list[Witness]] = {}
        for witness in witnesses:
            if 0 < witness.head.size <= end:
                self._by_size.setdefault(witness.head.size, []).append(witness)
        self.sizes = sorted(self._by_size)
        self._good = 0

    def first_bad(self, tree: Frontier, found: Found) -> tuple[int, str] | None:
        """The first position that can be bad by the heads that end in a range, and why."""
        for size, subtrees in sorted(found.at_sizes.items()):
            here = tree.copy()
            _extend(here, subtrees)
            for witness in self._by_size[size]:
                if witness.head.root != here.root():
                    return self._good + 1, (
                        f"{witness.name}: the log has another root at {size:,}; what was changed "
                        f"lies between {self._good + 1:,} and {size:,}"
                    )
            self._good = size
        return None


def _extend(tree: Frontier, subtrees: Subtrees) -> None:
    for root, count in subtrees:
        tree.add_subtree(root, count)


def _beyond(witnesses: Sequence[Witness], end: int) -> tuple[int | None, str]:
    """Heads that have seen more than there is."""
    longest = max(witnesses, key=lambda w: w.head.size, default=None)
    if longest is None or longest.head.size <= end:
        return None, ""
    return end + 1, (
        f"{longest.name}: the log had {longest.head.size:,} touchpoints, and now ends at {end:,}"
    )
