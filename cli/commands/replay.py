"""`touchstone replay`: every view as it was, or would have been, in a file; and two such files."""

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import msgspec

from cli import exits
from cli.asking import cut_options, limit_option
from cli.commands.projection import until_interrupted, workers_option
from cli.moments import shown_time
from cli.output import Column, Record, clean
from cli.session import Session, confirm, pass_session
from cli.writing import folder_beside, keep, regular_file
from ledger.assuming import assumed_in
from ledger.governance import Assumed
from ledger.ledger import Ledger
from ledger.progress import Report
from projections.aside import Labour
from projections.comparing import Comparison, compared
from projections.query import Cut
from projections.registry import BY_NAME, PROJECTIONS
from projections.replaying import Replayed, replay
from projections.view import View
from schemas.fields import rfc3339
from schemas.wording import counted

EXAMPLES = """\b
Examples:
  touchstone replay --into january.db --as-of 2026-01-31
  touchstone replay --into known.db --as-of 2026-01-31 --known-at 2026-01-31
  touchstone replay --into dearer.db --rules dearer.ndjson --only loyalty
  touchstone replay diff january.db known.db
"""
DIFFERENCE_FIELDS = ("view", "key", "difference", "fields")
file_argument = click.Path(path_type=Path, dir_okay=False)
only_option = click.option(
    "--only", "only", multiple=True, metavar="VIEW", type=click.Choice(tuple(BY_NAME)),
    help="Only this view (may be repeated).",
)  # fmt: skip
rules_option = click.option(
    "--rules", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="Rules (touchpoints, NDJSON) that are taken as known for this time only.",
)  # fmt: skip


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@click.option("--into", type=file_argument, metavar="FILE", help="The SQLite file to write.")
@cut_options
@rules_option
@only_option
@workers_option
@click.option("--yes", is_flag=True, help="Replace a file of this name; do not ask.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    into: Path | None,
    cut: Cut,
    rules: Path | None,
    only: tuple[str, ...],
    workers: int,
    yes: bool,
) -> int:
    """Write every view, as of any two moments and under any rules, into a file of SQLite.

    The ledger is only read. The file has the tables of docs/VIEWS.md, what depends on the moment,
    and a table `replay` that says what it is of. Personal data are encrypted in it.
    """
    session = ctx.ensure_object(Session)
    if ctx.invoked_subcommand is not None:
        if into is not None:
            raise click.UsageError("--into belongs to the replay itself, before any `diff`")
        return exits.DONE
    if into is None:
        raise click.UsageError("say which file to write: --into FILE")
    target = regular_file(into)
    if target.exists():
        confirm(session, f"{into} is there already: write over it?", yes=yes)
    views = tuple(view for view in PROJECTIONS if not only or view.name in only)
    with session.ledger() as ledger:
        assumed, digest = assumed_rules(ledger, rules)
        with session.progress() as report, folder_beside(target) as folder:
            part = folder / "replay.db"
            done = _replayed(session, ledger, part, views, cut, assumed, digest, workers, report)
            keep(part, target)
    return _tell(session, done, cut, into)


def _replayed(
    session: Session,
    ledger: Ledger,
    part: Path,
    views: tuple[View, ...],
    cut: Cut,
    assumed: tuple[Assumed, ...],
    digest: str | None,
    workers: int,
    report: Report,
) -> Replayed:
    with until_interrupted(session) as stop:
        labour = Labour(workers, report, stop)
        return replay(ledger, part, views, cut, assumed=assumed, rules_digest=digest, labour=labour)


def assumed_rules(ledger: Ledger, file: Path | None) -> tuple[tuple[Assumed, ...], str | None]:
    """The rules in a file, and the SHA-256 of its bytes (hex). Raises Refused, with the line."""
    if file is None:
        return (), None
    content = file.read_bytes()
    rules = assumed_in(BytesIO(content), str(file), ledger.vault)
    return rules, hashlib.sha256(content).hexdigest()


def note_idle(session: Session, idle: list[tuple[str, int]]) -> None:
    """Say of which rules of a file another version overrides all."""
    for programme, version in idle:
        session.note(
            f"note: version {version:,} of {clean(programme)} in the rules is in force at no "
            "moment: a higher version, or one of the same number published later, overrides it"
        )


def _tell(session: Session, done: Replayed, cut: Cut, into: Path) -> int:
    note_idle(session, done.idle)
    for view, key, error in done.failed:
        session.complain(f"{view} {clean(key)} could not be folded: {error}")
    record: Record = {
        "touchpoints": done.touchpoints,
        "views": done.views,
        "file": str(into),
        "as_of": None if cut.as_of is None else rfc3339(cut.as_of),
        "known_at": None if cut.known_at is None else rfc3339(cut.known_at),
        "moment": rfc3339(done.moment),
        "failed": len(done.failed),
    }
    session.printer.record(record, lambda: _summary(record, done, session))
    return exits.PARTLY if done.failed else exits.DONE


def _summary(record: Record, done: Replayed, session: Session) -> Iterator[str]:
    moment = shown_time(done.moment, session.zone, seconds=True)
    yield f"{counted(done.touchpoints, 'touchpoint')} as of {moment} in {clean(record['file'])}"
    for name, rows in done.views.items():
        yield f"  {name:<10}  {counted(rows, 'row')}"


@command.command("diff")
@click.argument("a", type=file_argument)
@click.argument("b", type=file_argument)
@only_option
@click.option("--summary", is_flag=True, help="Only the counts of each view.")
@limit_option
@pass_session
def diff(
    session: Session, a: Path, b: Path, only: tuple[str, ...], summary: bool, limit: int | None
) -> int:
    """Show in which keys of which views two replays differ, and in which fields.

    Ends with 0 whether they differ or not: equal files give an empty list. What depends on the
    moment alone (tables such as loyalty_balances) is not compared.
    """
    for path in (a, b):
        if not path.is_file():
            raise exits.NotFound(f"there is no file {path}")
    with compared(a, b, only) as comparison:
        for name in comparison.left_out:
            session.note(f"note: only one of the two has the view {name}")
        if summary:
            for _ in comparison.differences():
                pass  # they are counted as they are walked
            session.printer.records(_counts(comparison), _COUNT_COLUMNS, "no view is in both")
        else:
            _list_differences(session, comparison, limit)
    return exits.DONE


def _list_differences(session: Session, comparison: Comparison, limit: int | None) -> None:
    session.printer.records(
        _shown(comparison, limit), _DIFFERENCE_COLUMNS, "no key differs",
        csv_fields=DIFFERENCE_FIELDS,
    )  # fmt: skip
    for count in _counts(comparison):
        if count["only_a"] or count["only_b"] or count["differing"]:
            session.note(
                f"{count['view']}: {count['only_a']:,} only in A, {count['only_b']:,} only in B, "
                f"{count['differing']:,} differ"
            )


def _shown(comparison: Comparison, limit: int | None) -> Iterator[Record]:
    """The differences up to the limit; the others are counted all the same."""
    for number, found in enumerate(comparison.differences()):
        if limit is None or number < limit:
            yield msgspec.structs.asdict(found)


def _counts(comparison: Comparison) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(view) for view in comparison.views.values()]


_DIFFERENCE_COLUMNS = (
    Column("view", lambda r: r["view"], style="bold"),
    Column("key", lambda r: r["key"]),
    Column("difference", lambda r: r["difference"]),
    Column("fields", lambda r: ", ".join(r["fields"]), wraps=True),
)
_COUNT_COLUMNS = (
    Column("view", lambda r: r["view"], style="bold"),
    Column("rows of A", lambda r: r["a"], number=True),
    Column("rows of B", lambda r: r["b"], number=True),
    Column("only in A", lambda r: r["only_a"], number=True),
    Column("only in B", lambda r: r["only_b"], number=True),
    Column("differ", lambda r: r["differing"], number=True),
)
