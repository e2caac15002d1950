"""`touchstone loyalty simulate`: what a programme would have come to under other rules."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits
from cli.commands.projection import until_interrupted, workers_option
from cli.commands.replay import assumed_rules, note_idle
from cli.drawing import Axis, Panel, Series, drawn
from cli.moments import Moment, shown_iso
from cli.output import Column, Record, clean, table
from cli.session import Session, confirm, pass_session
from cli.writing import in_place_of, regular_file
from domain.rules import Rules
from domain.simulation import Simulation, report
from projections.aside import Labour
from projections.query import Cut
from projections.simulating import Simulated, simulate
from schemas.fields import moment, rfc3339
from schemas.wording import counted

POINTS = ("earned", "spent", "expired", "outstanding")
FIGURES = (*POINTS, "negative", "members", "members_negative", "redemptions_unpaid")
MONEY = ("cost", "liability")
BAR_CELLS = 40
HALF, FULL = "▌", "█"
HOUR_MICROSECONDS = 3_600 * 1_000_000

EXAMPLES = """\b
Examples:
  touchstone loyalty simulate --rules one-per-200.ndjson
  touchstone loyalty simulate --rules one-per-200.ndjson --from 2026-01-01 --chart cut.svg
"""


@click.command("simulate", epilog=EXAMPLES)
@click.option(
    "--rules", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    required=True, help="The other rules: touchpoints, NDJSON. They are added to those of the log.",
)  # fmt: skip
@click.option(
    "--from", "start", type=Moment(starts=True), metavar="TIME",
    help="Count what was earned, spent and expired from this time.",
)  # fmt: skip
@click.option("--to", "end", type=Moment(), metavar="TIME", help="Until this time.  [default: now]")
@click.option("--programme", metavar="NAME", help="Which programme, where there are several.")
@click.option(
    "--chart", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Draw the months into this SVG file.",
)  # fmt: skip
@workers_option
@click.option("--yes", is_flag=True, help="Replace a chart of this name; do not ask.")
@pass_session
def command(
    session: Session,
    /,
    rules: Path,
    start: int | None,
    end: int | None,
    programme: str | None,
    chart: Path | None,
    workers: int,
    yes: bool,
) -> int:
    """Show what a programme would have come to by other rules.

    Everybody's touchpoints are folded twice, under the rules of the log and with those of the
    file added; nothing is written to the ledger. A redemption that would not have been possible
    shows as negative points.
    """
    if start is not None and end is not None and start > end:
        raise click.UsageError("--from is later than --to")
    target = None if chart is None else _chart_file(session, chart, yes=yes)
    with session.ledger() as ledger:
        assumed, _ = assumed_rules(ledger, rules)
        with until_interrupted(session) as stop, session.progress() as progress:
            labour = Labour(workers, progress, stop)
            months = _months(session)
            found = simulate(ledger, Cut(as_of=end), start, months, assumed, labour)
    note_idle(session, found.idle)
    for key, error in sorted(found.failed.items()):
        session.complain(f"{clean(key)} could not be folded and is left out: {error}")
    record = _record(found, _chosen(found, programme))
    if target is not None:
        _draw(record, target)
        session.note(f"the chart is in {chart}")
    session.printer.record(record, lambda: _page(record, session))
    return exits.PARTLY if found.failed else exits.DONE


def _chart_file(session: Session, chart: Path, *, yes: bool) -> Path:
    if chart.suffix.lower() != ".svg":
        raise click.UsageError("a chart is drawn as SVG: name a file that ends in .svg")
    target = regular_file(chart)
    if target.exists():
        confirm(session, f"{chart} is there already: write over it?", yes=yes)
    return target


def _months(session: Session) -> Callable[[int], str]:
    """The months on the clocks of the zone; most moments share their hour with others."""

    @cache
    def of_hour(hour: int) -> str:
        return moment(hour * HOUR_MICROSECONDS).astimezone(session.zone).strftime("%Y-%m")

    return lambda at: of_hour(at // HOUR_MICROSECONDS)


def _chosen(found: Simulated, asked: str | None) -> str:
    """The programme that is meant: the one asked for, or the only one that there is."""
    names = sorted({*found.programmes, *_named(found.rules)})
    if not names:
        raise exits.NotFound("there is no loyalty programme, neither in the log nor in the file")
    if asked is not None and asked not in names:
        raise exits.NotFound(f"there is no programme {asked}; there are {', '.join(names)}")
    if asked is None and len(names) > 1:
        raise click.UsageError(f"say which with --programme: {', '.join(names)}")
    return asked or names[0]


def _named(rules: tuple[Rules, Rules]) -> set[str]:
    return {name for known in rules for name in known.programmes}


def _record(found: Simulated, programme: str) -> Record:
    simulation = found.programmes.get(programme) or Simulation(found.span)
    start, end = found.span.start, found.span.end
    record = report(simulation, programme, found.rules, found.revenue)
    times = {"from": None if start is None else rfc3339(start), "to": rfc3339(end)}
    return {"programme": programme, **times, **record}


def _page(record: Record, session: Session) -> Iterator[RenderableType]:
    yield _heading(record, session)
    yield _sides(record)
    members = record["members"]
    yield (
        f"{members['better']:,} members would have more points, {members['worse']:,} fewer, "
        f"{members['same']:,} as many"
    )
    yield _deciles(record["deciles"])
    if record["most_affected"]:
        yield Text("\nmost affected", style="bold")
        yield table(record["most_affected"], _AFFECTED)
    if record["months"]:
        yield Text("by month", style="bold")
        yield table(record["months"], _MONTHS)
        yield from _bars(record["months"])


def _heading(record: Record, session: Session) -> Text:
    start, end = (shown_iso(record[name], session.zone) for name in ("from", "to"))
    span = f"  from {start} to {end}" if start else f"  to {end}"
    same = ""
    if record["identical"]:
        everybody = counted(sum(record["members"].values()), "member")
        same = f"\nthe simulated balances are exactly the real ones ({everybody})"
    return Text.assemble((clean(record["programme"]), "bold"), span, same)


def _sides(record: Record) -> Table:
    actual, simulated = record["actual"], record["simulated"]
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("")
    for heading in ("actual", "simulated", "difference"):
        grid.add_column(heading, justify="right")
    for name in FIGURES:
        one, other = actual[name], simulated[name]
        words = name.replace("_", " ")
        grid.add_row(words, f"{one:,}", f"{other:,}", f"{other - one:+,}" if one != other else "")
    for name in MONEY:
        grid.add_row(name, _money(actual[name]), _money(simulated[name]), "")
    shares = [side["cost_per_revenue"] for side in (actual, simulated)]
    grid.add_row("cost per revenue", *("" if s is None else f"{s:.2%}" for s in shares), "")
    return grid


def _money(amount: dict[str, str] | None) -> str:
    return "" if amount is None else f"{amount['amount']} {amount['currency']}"


def _deciles(deciles: list[int]) -> str:
    if not deciles:
        return "nobody has points"
    return "difference by deciles of members: " + ", ".join(f"{one:+,}" for one in deciles)


_AFFECTED = (
    Column("customer", lambda r: r["customer"]),
    Column("actual", lambda r: r["actual"], number=True),
    Column("simulated", lambda r: r["simulated"], number=True),
    Column("difference", lambda r: f"{r['difference']:+,}", number=True, style="bold"),
)


def _both(name: str) -> Callable[[Record], str]:
    """What was, and behind an arrow what would be where that is different."""

    def shown(month: Record) -> str:
        actual, simulated = (month[side][name] for side in ("actual", "simulated"))
        return f"{actual:,}" if actual == simulated else f"{actual:,} → {simulated:,}"

    return shown


_MONTHS = (
    Column("month", lambda r: r["month"]),
    *(Column(name, _both(name), number=True) for name in POINTS),
)


def _bars(months: list[Record]) -> Iterator[Text]:
    """What was earned in each month: a bar for what was, and below it one for what would be."""
    sides = (("actual", "blue"), ("simulated", "magenta"))
    most = max(1, *(abs(month[side]["earned"]) for month in months for side, _ in sides))
    yield Text.assemble(
        "earned by month, ", (f"{FULL} actual", "blue"), " ", (f"{FULL} simulated", "magenta")
    )
    for month in months:
        for number, (side, style) in enumerate(sides):
            earned = month[side]["earned"]
            halves = max(0, round(2 * BAR_CELLS * earned / most))
            bar = FULL * (halves // 2) + HALF * (halves % 2)
            label = month["month"] if number == 0 else ""
            yield Text.assemble(f"{label:<8}", (bar, style), f" {earned:,}")


def _draw(record: Record, target: Path) -> None:
    """Two panels: what was earned in each month, and what was outstanding at its end."""
    months = record["months"] or [{"month": "", "actual": {}, "simulated": {}}]
    names = [month["month"] for month in months]

    def panel(title: str, figure: str) -> Panel:
        series = [
            Series(side, [(n, m[side].get(figure, 0)) for n, m in enumerate(months)])
            for side in ("actual", "simulated")
        ]
        return Panel(title, "points", series)

    panels = [
        panel("Earned in the month", "earned"),
        panel("Outstanding at its end", "outstanding"),
    ]
    remark = f"{record['programme']}, until {record['to'][:10]}"
    with in_place_of(target) as (stream, kept):
        stream.write(drawn(panels, Axis("month", names), remark).encode())
        kept()
