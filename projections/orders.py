"""The orders view: each order by its id, and what other subjects have said of it."""

from operator import attrgetter

from domain.orders import (
    CANCELLED,
    COMPLETED,
    PARTLY_REFUNDED,
    READS,
    REFUNDED,
    UNKNOWN,
    Order,
    evolve,
)
from ledger.store import Dialect
from projections.view import Column, Figure, View

_CUSTOMER = "(folded.state ->> 'customer')"
_TOTAL = "coalesce(folded.state ->> 'total', '0')"


def _total(dialect: Dialect) -> str:
    total = dialect.amount.replace("{}", _TOTAL)
    return f"CASE WHEN {_CUSTOMER} IS NOT NULL THEN {total} END"


def _refunded(dialect: Dialect) -> str:
    """See domain.orders.refunded."""
    return f"CASE WHEN {_CUSTOMER} IS NOT NULL THEN {_of_refunds('coalesce({}, 0)', dialect)} END"


def _status(dialect: Dialect) -> str:
    """See domain.orders.status."""
    by_refunds = (
        f"CASE WHEN coalesce({{}}, 0) = 0 THEN '{COMPLETED}' "
        f"WHEN {{}} >= CAST({_TOTAL} AS numeric) THEN '{REFUNDED}' ELSE '{PARTLY_REFUNDED}' END"
    )
    return (
        f"CASE WHEN {_CUSTOMER} IS NULL THEN '{UNKNOWN}' "
        f"WHEN {_cancelled(dialect)} THEN '{CANCELLED}' "
        f"ELSE {_of_refunds(by_refunds, dialect)} END"
    )


def _cancelled(dialect: Dialect) -> str:
    named = dialect.items.replace("{}", "folded.state -> 'cancellations'")
    return f"EXISTS (SELECT 1 FROM {named} AS named WHERE named.value = {_CUSTOMER})"


def _of_refunds(said: str, dialect: Dialect) -> str:
    """Something of the sum of the refunds that count; see domain.orders.Refund."""
    refunds = dialect.items.replace("{}", "folded.state -> 'refunds'")
    refund = dialect.document.replace("{}", "refund.value")
    total = dialect.total.replace("{}", f"{refund} ->> 1")
    return (
        f"(SELECT {said.replace('{}', total)} FROM {refunds} AS refund "
        f"WHERE {refund} ->> 0 = {_CUSTOMER} AND {refund} ->> 2 = folded.state ->> 'currency')"
    )


ORDERS = View(
    name="orders",
    version=1,
    reads=READS,
    state=Order,
    evolve=evolve,
    key=attrgetter("data.order_id"),
    columns=(
        Column("customer", "customer"),
        Column("completed_at", "at", "time"),
        Column("currency", "currency"),
    ),
    figures=(
        Figure("total", "amount", _total),
        Figure("refunded", "amount", _refunded),
        Figure("status", "text", _status),
    ),
)
