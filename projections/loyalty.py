"""The loyalty view: what each person has earned, spent and owes, by the rules in the log."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.lots import balance
from domain.loyalty import ONCE_READS, READS, Member, evolve
from domain.rules import Rules
from ledger.store import Dialect
from projections.view import ALWAYS, Column, Figure, Momentary, View
from schemas.registry import BY_TYPE


def _wanted(rules: Rules) -> Mapping[str, int]:
    """The types that move points, and those that earn any, from the first moment they do."""
    since = dict.fromkeys(READS, ALWAYS)
    for start, terms in zip(rules.starts, rules.terms, strict=True):
        for type_name in terms:
            since.setdefault(type_name, start)
    return since


def _programmes(dialect: Dialect) -> str:
    """In how many programmes the person has an account."""
    accounts = dialect.entries.replace("{}", "folded.state -> 'programmes'")
    return f"(SELECT count(*) FROM {accounts} AS account)"


BALANCE = ("earned", "active", "pending", "spent", "expired", "negative", "outstanding")
"""What an account comes to at a moment; see domain.lots.Balance."""


def _balances(member: Member, moment: int) -> Iterator[tuple[Any, ...]]:
    """What each of the person's accounts comes to."""
    for programme, account in sorted(member.programmes.items()):
        held = balance(account, moment)
        yield programme, *(getattr(held, name) for name in BALANCE)


LOYALTY = View(
    name="loyalty",
    version=1,
    # Rules may reward any type of touchpoint, so all may be read; `wanted` says which are.
    reads={name: READS.get(name, ONCE_READS.get(name, ())) for name in BY_TYPE},
    state=Member,
    evolve=evolve,
    wanted=_wanted,
    columns=(Column("anomalies", "anomalies", "integer"),),
    figures=(Figure("programmes", "integer", _programmes),),
    momentary=(
        Momentary(
            "loyalty_balances",
            (("programme", "TEXT"), *((name, "INTEGER") for name in BALANCE)),
            _balances,
        ),
    ),
)
