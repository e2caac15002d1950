"""The loyalty view: what each person has earned, spent and owes, by the rules in the log."""

from collections.abc import Mapping

from domain.loyalty import ONCE_READS, READS, Member, evolve
from domain.rules import Rules
from projections.view import ALWAYS, View
from schemas.registry import BY_TYPE


def _wanted(rules: Rules) -> Mapping[str, int]:
    """The types that move points, and those that earn any, from the first moment they do."""
    since = dict.fromkeys(READS, ALWAYS)
    for start, terms in zip(rules.starts, rules.terms, strict=True):
        for type_name in terms:
            since.setdefault(type_name, start)
    return since


LOYALTY = View(
    name="loyalty",
    version=1,
    # Rules may reward any type of touchpoint, so all may be read; `wanted` says which are.
    reads={name: READS.get(name, ONCE_READS.get(name, ())) for name in BY_TYPE},
    state=Member,
    evolve=evolve,
    wanted=_wanted,
)
