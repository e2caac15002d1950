"""`touchstone roles`: database roles that may do what their work needs, and no more."""

import click

from cli.session import Session, pass_session
from ledger.postgres.address import PostgresAddress
from ledger.postgres.roles import OPERATOR, READER, WRITER


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print the SQL.")
@pass_session
def command(session: Session, dry_run: bool) -> None:
    """Make the roles touchstone_reader, touchstone_writer and touchstone_operator.

    Grant them to the users of your services, analysts and operators. None of them can change or
    remove what is in the log. A ledger on PostgreSQL only; run it as the user who ran `init`, if
    he may create roles, or as a superuser. It can be repeated.
    """
    address = session.address
    if not isinstance(address, PostgresAddress):
        raise click.UsageError("a file has no roles: this is for a ledger on PostgreSQL")
    statements = address.make_roles(dry_run=dry_run)
    if dry_run:
        click.echo("\n".join(f"{statement};" for statement in statements))
        return
    record = {"roles": [READER, WRITER, OPERATOR], "schema": address.schema}
    session.printer.record(record, lambda: [f"made {READER}, {WRITER} and {OPERATOR}"])
