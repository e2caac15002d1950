"""The customers view: the 360° picture of each person."""

from domain.customers import READS, Customer, evolve
from projections.view import View

CUSTOMERS = View(
    name="customers",
    version=1,
    reads=READS,
    state=Customer,
    evolve=evolve,
    columns=(
        ("first_seen", "first_seen"),
        ("last_seen", "last_seen"),
        ("touchpoints", "touchpoints"),
    ),
)
