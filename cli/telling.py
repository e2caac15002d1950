"""How touchpoints are told: as records for programs, as a timeline by days for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.moments import shown_clock, shown_day
from cli.output import Column, Record, clean
from cli.revealing import Sight
from domain.voiding import Identity
from ledger.correcting import BY, voidings
from ledger.ledger import Ledger
from ledger.masking import MASK
from projections.query import Cut, Told, until
from schemas.encoding import plain
from schemas.fields import rfc3339
from schemas.registry import BY_TYPE

OPTIONAL_ATTRIBUTES = ("sequence", "correlationid", "causationid", "traceparent", "extensions")
TIMELINE_FIELDS = (
    "position", "recorded_at", "time", "type", "channel", "source", "id", "subject", "summary",
    "voided", "voided_by", "data",
)  # fmt: skip
TIMELINE_COLUMNS = (Column("time", lambda r: r["time"]), Column("What", lambda r: r["summary"]))


def log_record(told: Told) -> Record:
    """A touchpoint as `log` prints it, in clear or masked; what it has not is left out."""
    envelope = told.envelope
    record = {
        "position": told.position,
        "recorded_at": rfc3339(told.recorded_at),
        "time": envelope.time,
        "type": envelope.type,
        "source": envelope.source,
        "id": envelope.id,
        "subject": envelope.subject,
    }
    for name in OPTIONAL_ATTRIBUTES:
        if value := getattr(envelope, name):
            record[name] = value
    return record | {"data": plain(envelope.data)}


def timeline_records(
    ledger: Ledger, told: Sequence[Told], cut: Cut, sight: Sight
) -> Iterable[Record]:
    """Touchpoints as timelines print them, with channel and summary; the look is on record.

    Those that were voided, as far as the cut shows, are marked, with what says so: they happened
    to be recorded, but count in no view.
    """
    struck = _struck(ledger, told, cut, sight)
    return sight.on_record(
        log_record(t)
        | {
            "channel": BY_TYPE[t.envelope.type].CHANNEL,
            "summary": t.envelope.data.summary(),
            "voided": (t.envelope.source, t.envelope.id) in struck,
            "voided_by": struck.get((t.envelope.source, t.envelope.id)),
        }
        for t in sight.told(told)
    )


def _struck(ledger: Ledger, told: Sequence[Told], cut: Cut, sight: Sight) -> dict[Identity, Record]:
    """Those of the touchpoints that were voided, each with when, by whom and why."""
    last = until(ledger, cut)
    with ledger.store.cursor() as cursor:
        known = voidings(last, cursor)
    named = [(t.envelope.source, t.envelope.id) for t in told]
    found = {identity: known[identity] for identity in named if identity in known}
    opened = sight.told([Told(v.position, v.recorded_at, v.fact) for v in found.values()])
    return {identity: _voiding(void) for identity, void in zip(found, opened, strict=True)}


def _voiding(void: Told) -> Record:
    envelope = void.envelope
    extra = envelope.data.extra
    return {
        "position": void.position,
        "recorded_at": rfc3339(void.recorded_at),
        "time": envelope.time,
        "source": envelope.source,
        "id": envelope.id,
        "by": extra.get(BY) if isinstance(extra, dict) else extra,
        "reason": envelope.data.reason,  # type: ignore[attr-defined]
    }


def days(records: list[Record], zone: tzinfo) -> Iterator[RenderableType]:
    """The records of a timeline as people read it: a heading a day, a line a touchpoint."""
    widest = max(len(_label(record)) for record in records)
    for day, told in groupby(records, key=lambda record: shown_day(record["time"], zone)):
        yield Text(f"\n{day}", style="bold")
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, min_width=widest, style="cyan")
        grid.add_column(overflow="fold")
        for record in told:
            grid.add_row(
                f"  {shown_clock(record['time'], zone)}", Text(_label(record)), _line(record)
            )
        yield grid


def _label(record: Record) -> str:
    """The channel; facts that are no contact have none, and go by the first word of their type."""
    return str(record["channel"] or record["type"].partition(".")[0])


def _line(record: Record) -> Text:
    origin = clean(f"{record['source']} {record['id']}")
    void = record["voided_by"]
    if void is None:
        return Text.assemble(clean(record["summary"]), ("  " + origin, "dim"))
    by = f" by {clean(void['by'])}" if void["by"] else ""
    why = "" if void["reason"] == MASK else f"{by}: {clean(void['reason'])}"
    return Text.assemble(
        (clean(record["summary"]), "strike"),
        (f" (voided{why})", "yellow"),
        ("  " + origin, "dim"),
    )
