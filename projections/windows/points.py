"""Points as records: what an account holds, and the movements that led to it."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from domain.lots import Account, balance, expiring
from domain.loyalty import Member
from domain.rules import Rules
from domain.statement import Movement, statement
from ledger.ledger import Ledger
from projections.loyalty import LOYALTY
from projections.query import Cut, governing, rules, state_of, timeline
from projections.windows import Record
from projections.windows.sight import Sight, subject_in
from projections.windows.whom import moment_of
from schemas.fields import rfc3339

BALANCE_FIELDS = ("active", "pending", "spent", "expired", "negative", "earned")


class NoProgramme(LookupError):
    """There is no programme of the name that was asked for, or none at all; `known` have rules."""

    def __init__(self, asked: str | None, known: tuple[str, ...] = ()) -> None:
        super().__init__("there is no such programme")
        self.asked = asked
        self.known = known


class SeveralProgrammes(LookupError):
    """It has to be said which of the programmes `known` is meant."""

    def __init__(self, known: tuple[str, ...]) -> None:
        super().__init__(f"say which programme: {', '.join(known)}")
        self.known = known


def chosen_programme(member: Member, known: Rules, asked: str | None) -> str:
    """The programme that is meant: the one asked for, or the only one that there is.

    Raises NoProgramme or SeveralProgrammes.
    """
    if asked is not None:
        if asked in member.programmes or asked in known.programmes:
            return asked
        raise NoProgramme(asked, known.programmes)
    names = tuple(sorted(member.programmes)) or known.programmes
    if not names:
        raise NoProgramme(None)
    if len(names) > 1:
        raise SeveralProgrammes(names)
    return names[0]


def points_by_programme(member: Member | None, moment: int) -> dict[str, dict[str, int]]:
    """The balance of each programme at a moment."""
    accounts = member.programmes if member else {}
    return {name: points(account, moment) for name, account in sorted(accounts.items())}


def points(account: Account, moment: int) -> dict[str, int]:
    """One account's balance at a moment, by the names of BALANCE_FIELDS."""
    at_moment = msgspec.structs.asdict(balance(account, moment))
    return {name: at_moment[name] for name in BALANCE_FIELDS}


def account_record(
    ledger: Ledger, person: str, programme: str | None, cut: Cut, sight: Sight
) -> Record:
    """What an account holds and what will expire. Raises as `chosen_programme`."""
    member: Member = state_of(ledger, LOYALTY, person, cut) or Member()
    chosen = chosen_programme(member, rules(ledger, cut), programme)
    account = member.programmes.get(chosen, Account())
    record = {"customer": subject_in(sight, person), "programme": chosen}
    return record | balance_record(account, moment_of(ledger, cut))


def balance_record(account: Account, moment: int) -> Record:
    """The balance at a moment, and what will expire after it if nothing is spent."""
    schedule = [{"time": rfc3339(at), "points": count} for at, count in expiring(account, moment)]
    return {**points(account, moment), "expiring": schedule}


def statement_records(
    ledger: Ledger,
    person: str,
    programme: str | None,
    cut: Cut,
    *,
    since: int | None = None,
    until: int | None = None,
) -> tuple[str, list[Record]]:
    """The programme, and every movement of its account, each with its cause.

    What came before `since` is one opening line. Raises as `chosen_programme`.
    """
    known = governing(ledger, cut)
    member: Member = state_of(ledger, LOYALTY, person, cut) or Member()
    chosen = chosen_programme(member, known.rules, programme)
    told = timeline(ledger, person, cut)
    last = min(moment_of(ledger, cut), until) if until is not None else moment_of(ledger, cut)
    movements = statement(known.standing([t.envelope for t in told]), known.rules, chosen, last)
    positions = {(t.envelope.source, t.envelope.id): t.position for t in told}
    return chosen, list(_lines(movements, positions, since))


def _lines(
    movements: list[Movement], positions: Mapping[tuple[str, str], int], since: int | None
) -> Iterator[Record]:
    shown: Iterable[Movement] = [m for m in movements if since is None or m.at >= since]
    if since is not None:
        earlier = [m for m in movements if m.at < since]
        carried = earlier[-1].balance if earlier else 0
        opening = Movement(at=since, kind="opening", points=0, balance=carried, text="carried over")
        yield movement_record(opening, positions)
    for movement in shown:
        yield movement_record(movement, positions)


def movement_record(movement: Movement, positions: Mapping[tuple[str, str], int]) -> Record:
    """One line of a statement. `positions` has the place in the log of each (source, id)."""
    source, id_ = movement.source, movement.id
    return {
        "time": rfc3339(movement.at),
        "kind": movement.kind,
        "points": movement.points,
        "balance": movement.balance,
        "text": movement.text,
        "position": None if source is None or id_ is None else positions[source, id_],
        "type": movement.type,
        "source": source,
        "id": id_,
    }
