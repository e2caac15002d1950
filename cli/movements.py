"""Points as records: what an account holds, and the movements that led to it."""

from collections.abc import Mapping

from cli.output import Record
from cli.portrait import points as points_of
from domain.lots import Account, expiring
from domain.statement import Movement
from schemas.fields import rfc3339


def balance_record(account: Account, moment: int) -> Record:
    """The balance at a moment, and what will expire after it if nothing is spent."""
    schedule = [{"time": rfc3339(at), "points": count} for at, count in expiring(account, moment)]
    return {**points_of(account, moment), "expiring": schedule}


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
