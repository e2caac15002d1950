"""`touchstone schema`: the catalogue of touchpoints, and the documents made from it."""

from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from cli import catalogue
from cli.asking import TypeName
from cli.exits import NotFound
from cli.output import Column, Record, Unwrapped, clean, json_line, table
from cli.session import Session, confirm, pass_session
from schemas import publish
from schemas.registry import TOUCHPOINTS, UnknownType, touchpoint_class
from schemas.touchpoint import Touchpoint

EXAMPLES = """\b
Examples:
  touchstone schema list
  touchstone schema show order.completed.v1
  touchstone schema show order.completed.v1 -o json
  touchstone schema publish schemas/published
"""
INDENT = (0, 0, 0, 2)
LIST_FIELDS = ("type", "channel", "description", "fields")


@click.group(epilog=EXAMPLES)
def command() -> None:
    """The catalogue of touchpoints, and its JSON Schemas."""


@command.command("list")
@pass_session
def list_(session: Session, /) -> None:
    """List every type of touchpoint with its fields.

    A field that may be absent is marked with `?`.
    """
    entries = (catalogue.entry(cls) for cls in TOUCHPOINTS)
    session.printer.records(entries, (), layout=_pages, csv_fields=LIST_FIELDS)


def _pages(entries: list[Record]) -> Iterator[RenderableType]:
    """Each type on a line of its own, with what it says and its fields beneath it."""
    for entry in entries:
        channel = f"  {entry['channel']}" if entry["channel"] else ""
        yield Text.assemble((entry["type"], "bold"), (channel, "cyan"))
        yield Padding(entry["description"], INDENT)
        yield Padding(Text(", ".join(entry["fields"]), style="dim"), INDENT)


@command.command("show")
@click.argument("type_name", metavar="TYPE", shell_complete=TypeName().shell_complete)
@pass_session
def show(session: Session, /, type_name: str) -> None:
    """Show one type: its fields, or its JSON Schema.

    People see the fields with their limits and the smallest example, programs the JSON Schema
    of the whole CloudEvent.
    """
    try:
        cls = touchpoint_class(type_name)
    except UnknownType as error:
        raise NotFound(str(error)) from None
    session.printer.record(publish.document(cls), lambda: _page(cls))


def _page(cls: type[Touchpoint]) -> Iterator[RenderableType]:
    channel = f"channel {cls.CHANNEL}" if cls.CHANNEL else "not a contact with a customer"
    yield Text.assemble((cls.TYPE, "bold"), (f"  {channel}", "dim"))
    yield Text(clean(" ".join((getdoc(cls) or "").split())))
    columns = [
        Column("field", lambda r: r["field"]),
        Column("", lambda r: "required" if r["required"] else ""),
        Column("", lambda r: "personal" if r["personal"] else ""),
        Column("kind", lambda r: r["kind"], wraps=True),
    ]
    yield table(catalogue.fields(cls), columns)
    yield Text("The smallest example:", style="dim")
    yield Unwrapped(clean(json_line(catalogue.example(cls))))


@command.command("publish")
@click.argument(
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=publish.PUBLISHED,
    required=False,
)
@click.option("--yes", is_flag=True, help="Remove documents of types that are gone.")
@pass_session
def publish_(session: Session, /, folder: Path, yes: bool) -> None:
    """Write the published documents: JSON Schemas and AsyncAPI.

    Without FOLDER it is that of this installation.
    """
    stale = sorted({p.name for p in folder.glob("*.v*.json")} - publish.documents().keys())
    if stale:
        confirm(session, f"This removes {', '.join(stale)} from {folder}. Go on?", yes=yes)
    record = {"folder": str(folder), "documents": len(publish.write(folder))}

    def layout() -> list[Text]:
        return [Text(f"{record['documents']} documents in {clean(folder)}")]

    session.printer.record(record, layout)
