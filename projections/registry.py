"""All views, by hand: a view is a module and a name in this list."""

from projections.consents import CONSENTS
from projections.customers import CUSTOMERS
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.tickets import TICKETS
from projections.view import View

PROJECTIONS: tuple[View, ...] = (CUSTOMERS, TICKETS, LOYALTY, ORDERS, CONSENTS)
BY_NAME = {view.name: view for view in PROJECTIONS}
