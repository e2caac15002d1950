"""What it costs to serve a customer."""

from schemas.fields import Id, Text
from schemas.money import Money
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import short, trailing


@fact
class CostRecorded(Touchpoint):
    """The business spent money on the customer; a cost that was given back is below zero."""

    TYPE = "cost.recorded.v1"
    CHANNEL = None

    amount: Money
    about: Text
    channel: Id | None = None

    def summary(self) -> str:
        return f"cost {self.amount} for {short(self.about)}" + trailing(" by ", self.channel)
