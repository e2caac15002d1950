"""Suggestions: subjects that were seen with the same address or number, and are not one person."""

from collections.abc import Iterator
from itertools import combinations, groupby
from operator import itemgetter

import msgspec

from ledger.governance import Governance, governance
from ledger.ledger import Ledger
from ledger.persons import persons_of
from ledger.store import Cursor
from schemas.subject import kind_of, stream_of

TOKENS_AT_ONCE = 500
SUBJECTS_MAX = 20
"""An address that more subjects than these were seen with says nothing of who they are."""
_SHARED = """
SELECT token FROM search_tokens WHERE token > ? GROUP BY token
HAVING count(*) <= ? ORDER BY token LIMIT ?
"""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """Two persons who may be one, by name, and by what: kinds of what they were both seen with.

    `declined` says why the rules do not join them by it, where they were asked.
    """

    one: str
    other: str
    by: tuple[str, ...]
    declined: str | None


def suggestions(ledger: Ledger) -> Iterator[Suggestion]:
    """Every pair of persons who were seen with the same address or number, token by token.

    What the identity rules block, and what very many were seen with, is passed over.
    """
    head = ledger.log.head().position
    after = ""
    seen: set[tuple[str, str]] = set()
    while True:
        with ledger.store.cursor() as cursor:
            known = governance(head, cursor)
            rows = cursor.execute(_SHARED, (after, SUBJECTS_MAX, TOKENS_AT_ONCE)).fetchall()
            tokens = [token for (token,) in rows]
            found = list(_among(tokens, known, ledger.log.clock(), head, cursor))
        for suggestion in found:
            pair = (suggestion.one, suggestion.other)
            if pair not in seen:
                seen.add(pair)
                yield suggestion
        if len(tokens) < TOKENS_AT_ONCE:
            return
        after = tokens[-1]


def _among(
    tokens: list[str], known: Governance, now: int, head: int, cursor: Cursor
) -> Iterator[Suggestion]:
    sharing = _sharing(tokens, cursor)
    everybody = {subject for subjects in sharing.values() for subject in subjects}
    persons = persons_of(everybody, known, head, cursor)
    declined = {(d.tie.other, frozenset((d.one, d.other))): d.why for d in persons.declined}
    rules = known.identity.in_force(now)
    by: dict[tuple[str, str], dict[str, str | None]] = {}
    for token, subjects in sharing.items():
        if rules is not None and rules.blocks(token):
            continue
        for one, other in combinations(subjects, 2):
            pair = sorted((persons.person_of(one), persons.person_of(other)))
            if pair[0] != pair[1]:
                why = declined.get((token, frozenset((one, other))))
                by.setdefault((pair[0], pair[1]), {})[kind_of(token)] = why
    for (one, other), kinds in sorted(by.items()):
        why = next((why for why in kinds.values() if why), None)
        yield Suggestion(one=one, other=other, by=tuple(sorted(kinds)), declined=why)


def _sharing(tokens: list[str], cursor: Cursor) -> dict[str, list[str]]:
    """The subjects that were seen with each token; the token is one of them, if it has a stream."""
    rows = cursor.execute(
        f"SELECT token, subject FROM search_tokens WHERE token {cursor.AMONG} ORDER BY 1, 2",
        (cursor.listed(tokens),),
    ).fetchall()
    streams = {stream_of(token): token for token in tokens}
    own = cursor.execute(
        "SELECT DISTINCT replace(CAST(originator_id AS text), '-', '') "
        f"FROM {cursor.OF_STREAMS} WHERE originator_version = 1",
        (cursor.listed(streams),),
    ).fetchall()
    alone = {streams[stream] for (stream,) in own}
    return {
        token: [subject for _, subject in group] + ([token] if token in alone else [])
        for token, group in groupby(rows, itemgetter(0))
    }
