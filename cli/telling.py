"""How touchpoints are told to people: as a timeline by days."""

from collections.abc import Iterator
from datetime import tzinfo
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.moments import shown_clock, shown_day
from cli.output import Column, Record, clean
from ledger.masking import MASK

TIMELINE_FIELDS = (
    "position", "recorded_at", "time", "type", "channel", "source", "id", "subject", "summary",
    "voided", "voided_by", "data",
)  # fmt: skip
TIMELINE_COLUMNS = (Column("time", lambda r: r["time"]), Column("What", lambda r: r["summary"]))


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
