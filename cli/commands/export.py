"""`touchstone customer export`: all that is known of a person, for that person or an auditor."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import file_digest
from pathlib import Path

import click
from rich.text import Text

from cli import exits
from cli.asking import person_named
from cli.bundle import Bundle
from cli.dossier import dossier
from cli.evidence import evidence, write_evidence
from cli.exits import NotFound
from cli.known import Request
from cli.output import Record, Unwrapped, clean, json_lines
from cli.revealing import reveal_required, sight_of
from cli.session import Session, confirm, pass_session
from cli.writing import in_place_of, regular_file
from ledger.access import Right
from ledger.ledger import Ledger
from projections.query import Cut
from schemas.fields import moment
from schemas.wording import counted

Render = Callable[[Record], str]
EXAMPLES = """\b
Examples:
  touchstone customer export customer:42 --out 42.json --page 42.html --reveal "request 2026-17"
  touchstone customer export customer:42 --proof --out 42.zip --reveal "audit 2026"
"""


@click.command("export", epilog=EXAMPLES)
@click.argument("subject")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the JSON, or with --proof the ZIP, into this file instead of standard output.",
)  # fmt: skip
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
    help="Write a page too, which the person can read and print.",
)  # fmt: skip
@click.option(
    "--proof", is_flag=True,
    help="Make the auditor's file instead: a ZIP of everything, internal notes too, with proofs.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Write over files that are there already.")
@reveal_required
@pass_session
def export_command(
    session: Session,
    /,
    subject: str,
    out: Path | None,
    page: Path | None,
    proof: bool,
    yes: bool,
    reveal: str,
) -> int:
    """Give a person, or an auditor, all that is known.

    It comes as one JSON object, to standard output unless --out names a file, and as a page for
    the person with --page. Personal data are in clear; internal notes are not in it. The files
    are made readable for you alone.

    --proof is for auditors, not for the person: a ZIP with everything, the proof of each
    touchpoint in the sealed log, and a program that checks them without Touchstone.
    """
    if proof:
        if out is None or page is not None:
            raise click.UsageError("--proof takes --out FILE.zip; the page is in that file")
        return _prove(session, subject, out, reveal, yes=yes)
    with session.ledger() as ledger, ExitStack() as files:
        session.access.need(Right.PRIVACY)
        sight = sight_of(session, ledger, reveal)
        request = _request(session, ledger, subject, reveal)
        writes = [
            (files.enter_context(in_place_of(target)), render)
            for target, render in _targets(session, out, page, yes=yes)
        ]
        content = dossier(ledger, request, sight)
        if content is None:
            raise _nobody(subject)
        for (stream, _), render in writes:
            stream.write(render(content).encode("utf-8"))
        for (_, keep), _ in writes:
            keep()
    _tell(session, content, out, page)
    return exits.DONE


def _prove(session: Session, subject: str, out: Path, purpose: str, *, yes: bool) -> int:
    """Write the auditor's file."""
    from cli.timeline_page import timeline_page  # what makes pages takes its time to load

    target = regular_file(out)
    if target.exists():
        confirm(session, f"{out} is there already: write over it?", yes=yes)
    with session.ledger() as ledger, in_place_of(target) as (stream, keep):
        sight = sight_of(session, ledger, purpose)
        request = _request(session, ledger, subject, purpose)
        found = evidence(ledger, request, sight)
        if found is None:
            raise _nobody(subject)
        bundle = Bundle(stream, moment(request.moment))
        written = write_evidence(found, bundle, timeline_page, session.zone)
        bundle.close()
        keep()
    with target.open("rb") as kept:
        digest = file_digest(kept, "sha256").hexdigest()
    record = {
        "touchpoints": written.touchpoints,
        "proofs": written.proofs,
        "sealed": written.sealed,
        "file": str(out),
        "sha256": digest,
    }
    said = f"{counted(written.touchpoints, 'touchpoint')} in {clean(out)}, with proofs"
    lines = [Text(said), Unwrapped(f"SHA-256 {digest}")]
    session.printer.record(record, lambda: lines)
    return exits.DONE


def _request(session: Session, ledger: Ledger, subject: str, purpose: str) -> Request:
    cut = Cut(known_at=ledger.log.head().recorded_at)
    person = person_named(session, ledger, subject, cut)
    return Request(person, session.access.name, purpose, ledger.log.clock(), cut)


def _nobody(subject: str) -> NotFound:
    return NotFound(f"{subject} is no customer: `touchstone customer list` lists everybody")


def _targets(
    session: Session, out: Path | None, page: Path | None, *, yes: bool
) -> Iterator[tuple[Path, Render]]:
    """The files to write, each with what makes its text. Asks before one is written over."""

    def shown(content: Record) -> str:
        from cli import dossier_page  # what makes pages is loaded for those who want one

        return dossier_page.page(content, session.zone)

    wanted: list[tuple[Path | None, Render]] = [(out, _json), (page, shown)]
    found = [(file, regular_file(file), render) for file, render in wanted if file is not None]
    if len({target for _, target, _ in found}) < len(found):
        raise click.UsageError("--out and --page name the same file: give each one of its own")
    for file, target, render in found:
        if target.exists():
            confirm(session, f"{file} is there already: write over it?", yes=yes)
        yield target, render


def _json(content: Record) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _tell(session: Session, content: Record, out: Path | None, page: Path | None) -> None:
    """The file itself where it goes to standard output, otherwise what was written where."""
    if out is None:
        text = Unwrapped("\n".join(json_lines(content)))
        session.printer.record(content, lambda: [text])
        if page is not None:
            session.note(f"the page is in {page}")
        return
    told = len(content["timeline"])
    record = {
        "touchpoints": told,
        "file": str(out),
        "page": None if page is None else str(page),
    }
    files = " and ".join(clean(file) for file in (out, page) if file is not None)
    line = f"{counted(told, 'touchpoint')} in {files}"
    session.printer.record(record, lambda: [Text(line)])
