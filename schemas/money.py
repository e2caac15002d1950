"""Money: a decimal string with an ISO 4217 currency. Never a float; currencies never meet."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

_AMOUNT = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$"


@cache
def minor_digits(currency: str) -> int:
    """How many decimals the currency is written with (JPY 0, EUR 2, KWD 3).

    Raises ValueError when ISO 4217 knows no such currency.
    """
    from iso4217 import Currency  # its table is read on import, which not every command needs

    return Currency(currency).exponent or 0


def _known(currency: str) -> str:
    try:
        minor_digits(currency)
    except ValueError:
        raise PydanticCustomError(
            "currency", "expected the code of an ISO 4217 currency, such as EUR"
        ) from None
    return currency


def _not_negative(money: "Money") -> "Money":
    if money.amount.startswith("-"):
        raise PydanticCustomError("negative", "the amount may not be negative")
    return money


def _above_zero(money: "Money") -> "Money":
    if money.decimal <= 0:
        raise PydanticCustomError("not_positive", "the amount must be above zero")
    return money


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount as the source wrote it: at most 15 digits before the point and 9 after it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    amount: Annotated[str, Field(pattern=_AMOUNT)]
    currency: Annotated[
        str, AfterValidator(_known), Field(json_schema_extra={"pattern": "^[A-Z]{3}$"})
    ]

    @property
    def decimal(self) -> Decimal:
        return Decimal(self.amount)

    def __str__(self) -> str:
        return format_amount(self.decimal, self.currency)


PaidMoney = Annotated[
    Money,
    AfterValidator(_not_negative),
    Field(json_schema_extra={"properties": {"amount": {"pattern": "^[0-9]"}}}),
]
"""Money of zero or more: what was paid, refunded or taken off."""

StepMoney = Annotated[
    Money,
    AfterValidator(_above_zero),
    Field(json_schema_extra={"properties": {"amount": {"pattern": "^[0-9.]*[1-9]"}}}),
]
"""Money above zero: what something is counted per."""


def format_amount(amount: Decimal, currency: str) -> str:
    """`1,234.50 EUR`: the decimals of the currency, or more where the amount has more."""
    digits = max(minor_digits(currency), -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{digits}f} {currency}"
