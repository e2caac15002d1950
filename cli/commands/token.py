"""`touchstone token`: who may come through the doors, in which role, and until when."""

import re
from typing import Any

import click
from rich.text import Text

from cli.exits import NotFound
from cli.moments import Moment, shown_iso
from cli.output import Column, Record, Unwrapped, clean
from cli.session import Session, pass_session
from ledger.access import ANY_SOURCE, ROLES, Token, all_tokens, create_token, revoke_token
from schemas.fields import SOURCE_CHARACTERS_MAX, rfc3339

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}")
EXAMPLES = """\b
Examples:
  touchstone token create --role emitter --source shop
  SECRET=$(touchstone token create --role cashier --source till --secret-only)
  touchstone token create --role auditor --source '*' --name ana --expires 2027-01-01
  touchstone token revoke 0123456789ab
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Tokens with roles: create, list, revoke."""


def _name(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None or NAME.fullmatch(value):
        return value
    raise click.BadParameter("expected 1 to 100 letters, digits, blanks or . _ @ -", param=option)


def _source(_: click.Context, option: click.Parameter, value: str) -> str:
    if 0 < len(value) <= SOURCE_CHARACTERS_MAX and value.isprintable():
        return value
    raise click.BadParameter(
        f"expected 1 to {SOURCE_CHARACTERS_MAX} characters, or {ANY_SOURCE} for any", param=option
    )


@command.command("create")
@click.option("--role", required=True, type=click.Choice(tuple(ROLES)), help="What it may do.")
@click.option(
    "--source", required=True, metavar="SOURCE", callback=_source,
    help="The source for which it may report; '*' for any.",
)  # fmt: skip
@click.option(
    "--name", metavar="NAME", callback=_name,
    help="Who has it: looks are recorded under this name.  [default: role and id]",
)  # fmt: skip
@click.option(
    "--expires", "expires_at", type=Moment(), metavar="TIME", help="Until when it counts."
)
@click.option("--secret-only", is_flag=True, help="Print the secret, and nothing else.")
@pass_session
def create(
    session: Session,
    /,
    role: str,
    source: str,
    name: str | None,
    expires_at: int | None,
    secret_only: bool,
) -> None:
    """Make a token, and print its secret this once.

    The secret is kept nowhere: who loses it needs another token.
    """
    with session.ledger() as ledger:
        now = ledger.log.clock()
        if expires_at is not None and expires_at <= now:
            raise click.UsageError("--expires is in the past: the token would never count")
        secret, token = create_token(
            ledger.store, now, role=role, source=source, name=name, expires_at=expires_at
        )
    session.note("the secret is shown this once, and kept nowhere")
    if secret_only:
        click.echo(secret)
        return
    record = {"token": secret, **_record(token, now)}
    session.printer.record(record, lambda: [Unwrapped(secret)])


def _record(token: Token, now: int) -> Record:
    record: dict[str, Any] = {
        name: getattr(token, name) for name in ("id", "name", "role", "source")
    }
    for name in ("created_at", "expires_at", "revoked_at"):
        moment = getattr(token, name)
        record[name] = None if moment is None else rfc3339(moment)
    return record | {"state": token.state(now)}


@command.command("list")
@pass_session
def list_(session: Session, /) -> None:
    """List tokens, oldest first, without their secrets."""
    with session.ledger() as ledger:
        now = ledger.log.clock()
        records = [_record(token, now) for token in all_tokens(ledger.store)]
    columns = [
        Column("id", lambda r: r["id"]),
        Column("name", lambda r: r["name"], wraps=True),
        Column("role", lambda r: r["role"].replace("_", " ")),
        Column("source", lambda r: r["source"], wraps=True),
        Column("state", lambda r: r["state"]),
        Column("expires", lambda r: shown_iso(r["expires_at"], session.zone)),
    ]
    empty = "no tokens yet: `touchstone token create` makes one"
    session.printer.records(records, columns, empty)


@command.command("revoke")
@click.argument("id_", metavar="ID")
@pass_session
def revoke(session: Session, /, id_: str) -> None:
    """Let a token count no more, at once. It stays in the list."""
    with session.ledger() as ledger:
        now = ledger.log.clock()
        token = revoke_token(ledger.store, id_, now)
    if token is None:
        raise NotFound("there is no token of this id; `touchstone token list` lists them all")
    record = _record(token, now)
    session.printer.record(record, lambda: [Text(f"revoked the token {clean(token.name)}")])
