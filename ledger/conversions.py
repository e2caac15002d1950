"""How a value of a foreign record becomes a number, a truth, a list, a time or a text."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from ledger.rows import WrittenNumber
from schemas.fields import EPOCH

NUMBER_CHARACTERS_MAX = 100
TRUE_WORDS = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "off", "0"})

UNIX_UNITS = {"unix": Decimal(1_000_000), "unix_ms": Decimal(1_000)}
"""Microseconds in one unit of the formats that count from 1970-01-01T00:00:00Z."""

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)


class Unfit(ValueError):
    """The value is not of the kind asked for. Says what was expected and never the value."""


Conversion = Callable[[Any], Any]


def as_text(value: Any) -> str:
    """A scalar as text: numbers with the digits they were written with. Raises Unfit."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, WrittenNumber):
        return value.digits
    if isinstance(value, int | float):
        return str(value)
    raise Unfit(f"expected one value, found {'a list' if isinstance(value, list) else 'an object'}")


def as_boolean(value: Any) -> bool:
    """true, yes, y, t, on, 1 and their opposites, in any case. Raises Unfit."""
    word = as_text(value).casefold()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise Unfit("expected true or false (or yes, no, 1, 0); give other words in a `map`")


def as_json(value: Any) -> Any:
    """The value as it is, in the plain types of JSON. Raises Unfit for NaN and infinity."""
    if isinstance(value, dict):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit("expected a number that is finite")
        return float(value)
    return value


@dataclass(frozen=True)
class NumberForm:
    """How numbers are written: the decimal point, what separates thousands, what to drop."""

    point: str = "."
    thousands: str = ""
    drop: str = ""

    def decimal(self, value: Any) -> str:
        """The number with its decimals as written: `1,234.50` is `1234.50`. Raises Unfit."""
        sign, whole, fraction, exponent = self._parts(value)
        if exponent:
            exact = Decimal(f"{sign}{whole or 0}.{fraction}e{exponent}")
            sign, whole, fraction = _parts_of(format(exact, "f"))
        digits = (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
        negative = sign == "-" and digits.strip("0.")
        return f"-{digits}" if negative else digits

    def integer(self, value: Any) -> int:
        """A whole number; decimals are let pass where they are zeros. Raises Unfit."""
        whole, _, fraction = self.decimal(value).partition(".")
        if fraction.strip("0"):
            raise Unfit("expected a whole number")
        return int(whole)

    def number(self, value: Any) -> int | float:
        """An integer where it is written as one, otherwise a fraction. Raises Unfit."""
        digits = self.decimal(value)
        return float(digits) if "." in digits else int(digits)

    def _parts(self, value: Any) -> tuple[str, str, str, str]:
        """Sign, whole digits, decimals and exponent, of JSON numbers and of written ones."""
        if isinstance(value, bool):
            raise Unfit("expected a number")
        text = as_text(value)
        if isinstance(value, str):
            text = self._plain(text)
        found = _NUMBER.fullmatch(text) if len(text) <= NUMBER_CHARACTERS_MAX else None
        if found is None or not (found[2] or found[3]):
            raise Unfit(f"expected a number such as {self._example}")
        return found[1], found[2], found[3] or "", found[4] or ""

    def _plain(self, text: str) -> str:
        """Drop what the mapping says to drop, and write the point as a point."""
        text = text.translate({ord(character): None for character in self.drop}).strip()
        if self.thousands:
            whole, point, fraction = text.partition(self.point)
            if self.thousands in whole and not self._grouped.fullmatch(whole):
                raise Unfit(f"expected a number such as {self._example}")
            text = whole.replace(self.thousands, "") + point + fraction
        if self.point == ".":
            return text
        # A point that is no decimal point must not become one.
        return text.replace(".", "?").replace(self.point, ".")

    @cached_property
    def _grouped(self) -> re.Pattern[str]:
        """Digits in groups: the last of three, those before of two (India) or three."""
        mark = re.escape(self.thousands)
        return re.compile(rf"[+-]?\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}", re.ASCII)

    @property
    def _example(self) -> str:
        return f"1{self.thousands}234{self.point}50"


def _parts_of(digits: str) -> tuple[str, str, str]:
    whole, _, fraction = digits.lstrip("-").partition(".")
    return ("-" if digits.startswith("-") else ""), whole, fraction


@dataclass(frozen=True, slots=True)
class ListForm:
    """How a list is written into one text."""

    separator: str = ","

    def items(self, value: Any) -> list[Any]:
        """The parts between separators, without blanks and empty parts; lists stay lists."""
        if isinstance(value, list):
            found: list[Any] = as_json(value)
            return found
        parts = as_text(value).split(self.separator)
        return [part.strip() for part in parts if part.strip()]


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How times are written: a format of strptime, or `iso`, `unix`, `unix_ms`; and the zone.

    The zone (an IANA name) is that of times without an offset of their own. A local time that
    occurs twice, when clocks go back, is the first of the two; one that clocks skip is read
    with the offset from before they went forward (`fold=0` of the standard library).
    """

    format: str = "iso"
    zone: str | None = None

    def rfc3339(self, value: Any) -> str:
        """The moment in RFC 3339 with the offset of its zone. Raises Unfit."""
        try:
            moment = self._zoned(self._parsed(value))
            offset = moment.utcoffset() or timedelta()
            if offset % timedelta(minutes=1):
                # Local mean time, before there were zones: RFC 3339 has no seconds in offsets.
                moment = moment.astimezone(UTC)
        except (OverflowError, ArithmeticError):
            raise Unfit("a time outside of the calendar") from None
        return moment.isoformat().replace("+00:00", "Z")

    def _parsed(self, value: Any) -> datetime:
        if self.format in UNIX_UNITS:
            count = Decimal(NumberForm().decimal(value))
            return EPOCH + timedelta(microseconds=int(count * UNIX_UNITS[self.format]))
        text = as_text(value)
        try:
            if self.format == "iso":
                return datetime.fromisoformat(text)
            return datetime.strptime(text, self.format)  # noqa: DTZ007 (zoned by the caller)
        except ValueError:
            raise Unfit(f"expected a time such as {self.example}") from None

    def _zoned(self, moment: datetime) -> datetime:
        if moment.tzinfo is not None:
            return moment
        if self.zone is None:
            raise Unfit("the time has no offset; give the mapping a zone, such as Europe/Rome")
        return moment.replace(tzinfo=ZoneInfo(self.zone))

    @property
    def example(self) -> str:
        """A moment as the format writes it."""
        known = datetime(2026, 1, 5, 10, 30, 15, tzinfo=UTC)
        if self.format == "iso":
            return "2026-01-05T10:30:15Z"
        return known.strftime(self.format)

    def fault(self) -> str | None:
        """What is wrong with the form itself, before any time is read with it."""
        if self.format == "iso" or self.format in UNIX_UNITS:
            return None
        known = datetime(2001, 12, 31, 13, 59, 58, tzinfo=UTC)
        try:
            again = datetime.strptime(known.strftime(self.format), self.format)  # noqa: DTZ007
        except ValueError:
            return "is not a format of strptime, such as %Y-%m-%d %H:%M:%S"
        if again.date() != date(2001, 12, 31):
            return "does not hold a whole date; it needs year, month and day"
        if again.tzinfo is None and self.zone is None:
            return 'has no offset (%z), so a zone is needed, such as zone = "Europe/Rome"'
        return None
