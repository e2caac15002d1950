"""`touchstone init`: creates the ledger with its keys, or upgrades its schema."""

import click

from cli.session import Session, pass_session
from ledger.ledger import create_ledger


@click.command()
@pass_session
def command(session: Session) -> None:
    """Create the ledger with its keys, or bring an older one to this version's schema.

    The keys are made beside the ledger: back them up, and keep that backup apart from the
    ledger's. Without them, personal data cannot be read any more.
    """
    address = session.address
    created = create_ledger(address)
    record = {"ledger": address.url, "created": created}

    def layout() -> list[str]:
        if not created:
            return [f"{address.place} is a ledger already; its schema is up to date"]
        return [
            f"created the ledger {address.place}",
            f"its keys are in {address.key_places}: back them up, apart from it",
        ]

    session.printer.record(record, layout)
