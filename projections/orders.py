"""The orders view: each order by its id, and what other subjects have said of it."""

from operator import attrgetter

from domain.orders import READS, Order, evolve
from projections.view import View

ORDERS = View(
    name="orders",
    version=1,
    reads=READS,
    state=Order,
    evolve=evolve,
    key=attrgetter("data.order_id"),
    columns=(("customer", "customer"), ("at", "at")),
)
