"""`touchstone import`: any CSV, NDJSON or JSON file, through a declarative mapping."""

from pathlib import Path

import click

from cli.receipts import finish, taking
from cli.region import region_option
from cli.session import Session, no_follow_option, pass_session
from cli.stopping import stopping
from ledger.importing import Import
from ledger.mapping import MappingInvalid, load_mapping
from ledger.regions import from_region
from ledger.rows import RowsUnreadable


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--mapping",
    "mapping_path",
    required=True,
    metavar="MAP.toml",
    type=click.Path(path_type=Path, dir_okay=False),
    help="How rows become touchpoints; see docs/IMPORTING.md and examples/.",
)
@region_option
@no_follow_option
@pass_session
def command(
    session: Session, file: Path, mapping_path: Path, region: str | None, no_follow: bool
) -> int:
    """Import FILE through a mapping. Safe to repeat: what is known already is not counted twice.

    Rows that cannot be used are kept in quarantine, with the line and the column to blame.
    """
    for path in (file, mapping_path):
        if not path.is_file():
            raise click.UsageError(f"there is no file {path}")
    try:
        mapping = load_mapping(mapping_path)
        with mapping.read(file) as rows, session.ledger() as ledger, stopping() as stop:
            imported = Import(mapping, rows, str(file))
            with taking(session, ledger, stop, rows.size or 0) as intake:
                receipt = intake.run(
                    from_region(imported.items(), region), lambda: imported.bytes_read
                )
            if imported.skipped:
                session.note(f"{imported.skipped:,} rows were left out, as the mapping says")
            return finish(
                session, ledger, receipt, intake, str(file),
                empty=not imported.rows, follow=not no_follow,
            )  # fmt: skip
    except (MappingInvalid, RowsUnreadable, OSError) as error:
        raise click.UsageError(str(error)) from None
