"""Statements of account: how the customer wants them."""

from typing import Literal

from schemas.touchpoint import Touchpoint, fact


@fact
class StatementDeliveryChosen(Touchpoint):
    """The customer chose how statements of account reach him."""

    TYPE = "statement.delivery_chosen.v1"
    CHANNEL = "statement"

    delivery: Literal["electronic", "paper"]

    def summary(self) -> str:
        return f"chose {self.delivery} statements"
