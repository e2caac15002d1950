"""The loyalty view: what each person has earned, spent and owes, by the rules in the log."""

from domain.loyalty import ONCE_READS, READS, Member, evolve, reads
from domain.rules import Rules
from projections.view import View
from schemas.registry import BY_TYPE


def _wanted(rules: Rules) -> frozenset[str]:
    """The types that earn or move points under these rules."""
    return frozenset(reads(rules))


LOYALTY = View(
    name="loyalty",
    version=1,
    # Rules may reward any type of touchpoint, so all may be read; `wanted` says which are.
    reads={name: READS.get(name, ONCE_READS.get(name, ())) for name in BY_TYPE},
    state=Member,
    evolve=evolve,
    wanted=_wanted,
)
