"""What the views must hold, said in the plainest way: decode all, group, sort, fold.

Nothing of the engine is used but what a view states of itself, so the two can be compared.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from domain.occurred import order_of
from domain.rules import Rules
from domain.voiding import voided_by
from ledger.governance import RULE_TYPES
from projections.fold import Row
from projections.view import View
from schemas.correction import TouchpointVoided
from schemas.envelope import Envelope
from schemas.identity import CustomerLinked, CustomerMerged, CustomerUnmerged
from schemas.registry import BY_TYPE
from schemas.replay import NarrowDecoder
from schemas.subject import stream_of

JOINING = (CustomerLinked.TYPE, CustomerMerged.TYPE)
RANKS = {"customer": 0, "email": 2, "phone": 3, "anonymous": 4}
"""What a person is called by; all other kinds come between."""
Known = list[Envelope[Any]]


def standing(facts: Iterable[Envelope[Any]]) -> Known:
    """The facts that count, in the order in which they occurred."""
    known = sorted(facts, key=order_of)
    voided = voided_by(fact for fact in known if fact.type == TouchpointVoided.TYPE)
    return [fact for fact in known if (fact.source, fact.id) not in voided]


def rules_in(facts: Iterable[Envelope[Any]]) -> Rules:
    """The rules that these facts state."""
    return Rules.of(fact for fact in standing(facts) if fact.type in RULE_TYPES)


def persons_in(facts: Iterable[Envelope[Any]]) -> dict[str, str]:
    """The person that each subject is, where no identity rules are: links and merges join."""
    known = standing(facts)
    undone = {
        (f.data.merge_source, f.data.merge_id) for f in known if f.type == CustomerUnmerged.TYPE
    }
    groups: dict[str, set[str]] = {}
    for fact in known:
        if fact.type in JOINING and (fact.source, fact.id) not in undone:
            pair = (fact.subject, fact.data.other)
            joined = set().union(*(groups.get(subject, {subject}) for subject in pair))
            groups.update(dict.fromkeys(joined, joined))
    return {subject: min(group, key=_rank) for subject, group in groups.items()}


def _rank(subject: str) -> tuple[int, str]:
    kind = subject.partition(":")[0]
    return RANKS.get(kind, 1), subject


def grouped(view: View, facts: Iterable[Envelope[Any]]) -> dict[str, Known]:
    """The touchpoints that a view folds, by key, in the order in which they occurred."""
    since, persons = view.since(rules_in(facts)), persons_in(facts)
    found: dict[str, Known] = {}
    for fact in standing(facts):
        if fact.type in since and fact.at >= since[fact.type]:
            key = view.key(fact) if view.key else persons.get(fact.subject, fact.subject)
            found.setdefault(key, []).append(fact)
    return found


def states(view: View, facts: Iterable[Envelope[Any]]) -> dict[str, Any]:
    """The state of every key that these facts make, without those whose fold raises."""
    facts = list(facts)
    rules = rules_in(facts)
    found = {}
    for key, told in grouped(view, facts).items():
        state = view.state()
        with suppress(Exception):
            for fact in told:
                view.evolve(state, fact, rules)
            found[key] = state
    return found


def rows(view: View, facts: Iterable[Envelope[Any]]) -> dict[str, Row]:
    """The table that these facts make, byte for byte."""
    facts = list(facts)
    told = grouped(view, facts)
    return {
        key: Row(
            key,
            _json(order_of(told[key][-1])),
            _json(_streams(told[key])) if view.key else None,
            _json(state),
        )
        for key, state in states(view, facts).items()
    }


def narrowed(view: View, facts: Iterable[Envelope[Any]]) -> list[Any]:
    """The same facts as a rebuild decodes them: nothing but the fields that the view reads."""
    written = [msgspec.json.encode(fact) for fact in facts if fact.type in BY_TYPE]
    page: list[Any] = NarrowDecoder(view.reads).page(written)
    return page


def _streams(told: Known) -> list[str]:
    return sorted({stream_of(fact.subject) for fact in told})


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
