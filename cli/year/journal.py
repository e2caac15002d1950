"""The journal of the year: what services report, put in the order in which it arrives."""

from collections.abc import Iterator
from random import Random

import msgspec

from cli.year.clocks import DAY, HOUR, SECOND, WEEK, Clock, written_in_utc

LATE_SHARE = 0.01
LATE_DAYS_MIN, LATE_DAYS_MAX = 1, 9
DELAY_MAX = 3 * SECOND

Data = dict[str, object]

SHOP = "shop"
TELEPHONY = "telephony"
MAILER = "mailer"
HELPDESK = "helpdesk"
CHAT = "chat"
APP = "app"
LOYALTY = "loyalty"
CRM = "crm"


class Line(msgspec.Struct, omit_defaults=True):
    """A touchpoint as a CloudEvent in structured JSON."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Data
    sequence: int = 0
    correlationid: str | None = None


class Journal:
    """Takes what happened in any order and gives it back week by week, in the order of arrival.

    Only the weeks that are not yet given back are kept, so memory does not grow with the year.
    What happened outside the year is not written down.
    """

    def __init__(self, start: int, end: int, rng: Random) -> None:
        self._start, self._end = start, end
        self._random = rng.random
        self._encode = msgspec.json.Encoder().encode
        self._weeks: list[list[tuple[int, int, bytes]]] = []
        self._week = 0
        self._written = 0
        for _ in range((end - start) // WEEK + 2):
            self._weeks.append([])

    def write(
        self,
        at: int,
        source: str,
        kind: str,
        subject: str,
        data: Data,
        *,
        clock: Clock | None = None,
        sequence: int = 0,
        correlation: str | None = None,
        held_until: int = 0,
    ) -> str | None:
        """Write down that something of type `kind` happened at `at`; returns the line's id.

        Returns None, and writes nothing, when `at` is outside the year. `held_until` is a moment
        before which it does not arrive.
        """
        if not self._start <= at < self._end:
            return None
        self._written += 1
        line_id = f"{source}-{self._written}"
        time = written_in_utc(at) if clock is None else clock.written(at)
        line = Line("1.0", line_id, source, kind, subject, time, data, sequence, correlation)
        self._file(max(self._arrival(at), held_until), self._encode(line))
        return line_id

    def write_before(self, at: int, source: str, kind: str, subject: str, data: Data) -> None:
        """Write down what was so before the year began: the first thing to arrive."""
        self._written += 1
        line_id = f"{source}-{self._written}"
        line = Line("1.0", line_id, source, kind, subject, written_in_utc(at), data)
        self._file(at, self._encode(line))

    def week_begins(self, week: int) -> None:
        """From now on nothing arrives before this week."""
        self._week = week

    def take_week(self) -> Iterator[bytes]:
        """What arrives in the week at hand, in order; it is forgotten here."""
        return self._take(self._week)

    def take_rest(self) -> Iterator[bytes]:
        """What is still on its way when the year ends."""
        for week in range(self._week, len(self._weeks)):
            yield from self._take(week)

    def _take(self, week: int) -> Iterator[bytes]:
        lines, self._weeks[week] = self._weeks[week], []
        lines.sort()
        return (line for _, _, line in lines)

    def _arrival(self, at: int) -> int:
        chance = self._random()
        if chance < LATE_SHARE:
            days = LATE_DAYS_MIN + (LATE_DAYS_MAX - LATE_DAYS_MIN) * chance / LATE_SHARE
            return at + int(days * DAY) + HOUR
        return at + int(DELAY_MAX * chance)

    def _file(self, arrival: int, encoded: bytes) -> None:
        week = max((arrival - self._start) // WEEK, self._week)
        last = len(self._weeks) - 1
        self._weeks[min(week, last)].append((arrival, self._written, encoded))
