"""The customers view: the 360° picture of each person."""

from domain.customers import READS, Customer, evolve
from ledger.store import Dialect
from projections.view import Column, Figure, View


def _orders(dialect: Dialect) -> str:
    """How many orders were completed and not cancelled; see domain.revenue.Purchase."""
    purchases = dialect.entries.replace("{}", "folded.state -> 'orders'")
    cancelled = dialect.document.replace("{}", "purchase.value") + " -> 4"
    return (
        f"(SELECT count(*) FROM {purchases} AS purchase WHERE CAST({cancelled} AS text) = 'false')"
    )


CUSTOMERS = View(
    name="customers",
    version=2,
    reads=READS,
    state=Customer,
    evolve=evolve,
    columns=(
        Column("first_seen", "first_seen", "time"),
        Column("last_seen", "last_seen", "time"),
        Column("touchpoints", "touchpoints", "integer"),
        Column("last_type", "last_type"),
        Column("last_agent", "last_agent"),
        Column("traffic_source", "traffic_source"),
        Column("anomalies", "anomalies", "integer"),
    ),
    figures=(Figure("orders", "integer", _orders),),
)
