"""`touchstone connector`: the systems whose webhooks are understood, and own files for others."""

import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import click
import msgspec
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from cli import exits
from cli.output import Column, Record, Unwrapped, json_lines
from cli.session import Session, pass_session
from ledger.log import system_clock
from ledger.mapping_file import MappingInvalid
from ledger.quarantine import Item
from web.webhooks.connector import (
    Connector,
    load_connector,
    path_meant,
    shipped,
    shipped_path,
    unknown,
)
from web.webhooks.delivery import Delivery, headers_of
from web.webhooks.receiving import translated

EXAMPLES = """\b
Examples:
  touchstone connector list
  touchstone connector test stripe
  touchstone connector show stripe > my-stripe.toml
  touchstone connector test my-stripe.toml
  touchstone connector test shopify --payload order.json --header "X-Shopify-Topic: orders/create"
"""
INDENT = (0, 0, 0, 2)
COLUMNS = (
    Column("vendor", lambda record: record["title"].partition(" (")[0]),
    Column("connector", lambda record: record["connector"], style="bold"),
    Column("gives", lambda record: ", ".join(_kinds(record)), wraps=True),
)
LIST_FIELDS = ("connector", "title", "link", "source", "signatures", "types")


@click.group(epilog=EXAMPLES)
def command() -> None:
    """The systems whose webhooks are understood. docs/WEBHOOKS.md says how to add one."""


@command.command("list")
@pass_session
def list_(session: Session, /) -> None:
    """List the connectors that come with Touchstone, by the names of the vendors."""
    records = [_record(_loaded(name)) for name in shipped()]
    records.sort(key=lambda record: record["title"].casefold())
    session.printer.records(records, COLUMNS, csv_fields=LIST_FIELDS)


def _record(connector: Connector) -> Record:
    return {
        "connector": connector.name,
        "title": connector.title,
        "link": connector.link,
        "source": connector.mapping.source,
        "signatures": [
            f"{scheme.name}: {scheme.said}" if scheme.name else scheme.said
            for scheme in connector.schemes
        ],
        "types": list(connector.types),
    }


def _kinds(record: Record) -> Iterable[str]:
    """What its touchpoints are about, in a word each."""
    return sorted({type_.partition(".")[0] for type_ in record["types"]})


def _page(record: Record) -> Iterator[RenderableType]:
    yield Text.assemble((record["connector"], "bold"), (f"  {record['title']}", "cyan"))
    yield Unwrapped(f"  {record['link']}")
    for signature in record["signatures"]:
        yield Padding(Text(f"signed: {signature}"), INDENT)
    yield Padding(Text(", ".join(record["types"]), style="dim"), INDENT)


@command.command("show")
@click.argument("name")
@pass_session
def show(session: Session, /, name: str) -> None:
    """Print the file of a connector, to be read or to be changed.

    Under its own name it takes what waits in quarantine; give it another for another system.
    """
    path = shipped_path(name)
    if path is None:
        raise exits.NotFound(unknown(name))
    sys.stdout.write(path.read_text(encoding="utf-8"))


@command.command("test")
@click.argument("file")
@click.option(
    "--payload",
    metavar="FILE",
    type=click.File("rb"),
    help="The body of a webhook, or - for standard input: print what it gives.",
)
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of it.")
@click.option("--query", metavar="A=B&C=D", default="", help="The query of its address.")
@pass_session
def test(
    session: Session,
    /,
    file: str,
    payload: BinaryIO | None,
    headers: tuple[str, ...],
    query: str,
) -> int:
    """Check a connector, a file or one that comes with Touchstone; nothing is recorded.

    With --payload, print the touchpoints that a body gives, and what would go to quarantine or
    be in conflict. Its signature is not asked for.
    """
    connector = _loaded(file)
    if payload is None:
        record = _record(connector)
        session.printer.record(record, lambda: _page(record))
        return exits.DONE
    delivery = Delivery(
        method="POST",
        url=f"https://localhost/?{query}",
        headers=headers_of(_header(written) for written in headers),
        body=payload.read(),
        at=system_clock(),
    )
    records = [_given(item) for item in translated(connector, delivery, connector.mapping.source)]
    session.printer.records(records, (), layout=_given_pages, empty="it gives nothing: ignored")
    twice = list(_told_twice(records))
    for fault in twice:
        click.echo(fault, err=True)
    if not any("quarantined" in record for record in records):
        return exits.PARTLY if twice else exits.DONE
    unread = [name for name in connector.payload.headers if delivery.header(name) is None]
    if unread:
        named = ", ".join(unread)
        click.echo(f"the connector reads the headers {named}: give them by --header", err=True)
    return exits.PARTLY


def _header(written: str) -> tuple[str, str]:
    name, colon, value = written.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter("expected 'NAME: VALUE'", param_hint="--header")
    return name.strip(), value.strip()


def _loaded(written: str) -> Connector:
    """A connector by the path of its file, or by its name."""
    try:
        return load_connector(path_meant(written))
    except MappingInvalid as error:
        raise click.UsageError(str(error)) from None


def _told_twice(records: list[Record]) -> Iterator[str]:
    """What is wrong with touchpoints that have the source and id of another one before them."""
    first: dict[tuple[str, str], tuple[int, Record]] = {}
    for number, record in enumerate(records, start=1):
        if "quarantined" in record:
            continue
        before, other = first.setdefault((record["source"], record["id"]), (number, record))
        if other != record:
            yield (
                f"touchpoints {before} and {number} have the same source and id "
                f"({record['source']}, {record['id']}) and are not the same: they would conflict"
            )


def _given(item: Item) -> Record:
    """A touchpoint as it would be recorded, or why it would be kept in quarantine."""
    received, refused = item if isinstance(item, tuple) else (item, None)
    if refused is None:
        touchpoint: Record = msgspec.json.decode(b"".join(received.parts()))
        return touchpoint
    return {
        "quarantined": refused.reason,
        "item": received.context.get("item"),
        "path": refused.path,
        "message": refused.message,
    }


def _given_pages(records: list[Record]) -> Iterator[RenderableType]:
    for record in records:
        yield Text("\n".join(json_lines(record)))
