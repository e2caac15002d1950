"""The timeline of the auditor's file as one page to read and print, written as it is made."""

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from cli import plain_words
from cli.dossier_page import days, template
from cli.moments import shown_iso
from cli.output import Record

TEMPLATE = "timeline.html"
PIECES = 200
"""Of a template that are put together before they are handed out."""


def timeline_page(about: Record, records: Iterable[Record], zone: tzinfo) -> Iterator[str]:
    """The page, piece by piece; `about` is how the file begins (see `cli.known`)."""
    page = template(TEMPLATE).stream(
        customer=plain_words.subject(about["customer"]),
        exported=f"{shown_iso(about['exported_at'], zone)} ({zone})",
        reader=about["exported_by"],
        ledger=about["ledger"],
        purpose=about["purpose"],
        subjects=[plain_words.subject(subject) for subject in about["subjects"]],
        days=days(records, zone),
    )
    page.enable_buffering(PIECES)
    return iter(page)
