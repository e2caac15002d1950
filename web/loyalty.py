"""`/v1/loyalty`: what an account holds, and how it came to that."""

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.access import Right
from ledger.ledger import Ledger
from projections.loyalty import LOYALTY
from projections.windows import Record
from projections.windows.points import (
    NoProgramme,
    SeveralProgrammes,
    account_record,
    statement_records,
)
from web.answering import ITEMS, UNKNOWN, WRONG, window
from web.asking import CUT, IN_CLEAR, SUBJECT, Question, person_in, query
from web.endpoint import OBJECT, Answer, Endpoint
from web.problems import Problem

READ = (Right.READ,)
PROGRAMME = query("programme", "Which programme, where there are several.")


@contextmanager
def programme_told() -> Iterator[None]:
    """Says what is to be done about a programme that is none, or not named."""
    try:
        yield
    except NoProgramme:
        raise Problem(404, "unknown_programme", "there is no such programme, or none") from None
    except SeveralProgrammes as several:
        raise Problem(
            400, "programme", f"programme: {several}", path="programme", programmes=several.known
        ) from None


def balance(ledger: Ledger, question: Question) -> Record:
    """What an account holds, and what will expire."""
    cut, sight = question.cut, question.sight(ledger)
    person = person_in(ledger, question.part("subject"), cut)
    with programme_told():
        record = account_record(ledger, person, question.text("programme"), cut, sight)
    sight.on_record([record])
    return record


def statement(ledger: Ledger, question: Question) -> Record:
    """Every movement of an account, with its cause."""
    cut = question.cut
    since, until = question.moment("since", starts=True), question.moment("until")
    person = person_in(ledger, question.part("subject"), cut)
    with programme_told():
        programme, records = statement_records(
            ledger, person, question.text("programme"), cut, since=since, until=until
        )
    return {"programme": programme, "items": records}


ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/loyalty/{subject}", name="showBalance", tag="loyalty", needs=READ,
        handler=window(balance, LOYALTY),
        summary="What an account holds, and what will expire.",
        parameters=(SUBJECT, PROGRAMME, *CUT, IN_CLEAR),
        gives={200: Answer(says="The balance.", schema=OBJECT), 400: WRONG, 404: UNKNOWN},
    ),
    Endpoint(
        method="GET", path="/v1/loyalty/{subject}/statement", name="showStatement", tag="loyalty",
        needs=READ, handler=window(statement, LOYALTY),
        summary="Every movement of an account, with its cause.",
        parameters=(
            SUBJECT, PROGRAMME,
            query("since", "What came before this time is one opening line."),
            query("until", "Nothing behind this time."),
            *CUT,
        ),
        gives={200: Answer(says="The movements.", schema=ITEMS), 400: WRONG, 404: UNKNOWN},
    ),
)  # fmt: skip
