"""`/v1/customers`: who is known, the 360° view of one of them, what happened, what he allows."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from domain.consents import CHANNELS as CONSENT_CHANNELS
from domain.customers import Customer
from domain.tickets import Ticket
from ledger.access import Right
from ledger.ledger import Ledger
from projections.consents import CONSENTS
from projections.customers import CUSTOMERS
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import Cut, states_of
from projections.tickets import TICKETS
from projections.windows import Record
from projections.windows.consents import consent_records, verdict, whole
from projections.windows.customers import customer_records, seen_with
from projections.windows.identities import identity_records
from projections.windows.portrait import Asked, portrait_of
from projections.windows.sight import Sight
from projections.windows.timeline import (
    CHANNELS,
    Order,
    Wanted,
    timeline_page,
    timeline_records,
)
from projections.windows.whom import moment_of
from schemas.registry import BY_TYPE
from schemas.subject import PERSONAL_KINDS
from web.answering import ITEMS, PAGE, UNKNOWN, WRONG, window
from web.asking import (
    CUT,
    IN_CLEAR,
    PAGED,
    PURPOSES,
    SUBJECT,
    Question,
    person_in,
    query,
    several,
    subject_named,
)
from web.boards import boards
from web.endpoint import OBJECT, Answer, Endpoint
from web.paging import page_of, place_in
from web.problems import Problem

READ = (Right.READ,)


def customers(ledger: Ledger, question: Question) -> Record:
    """Customers by subject; or those who were seen with an address or number."""
    cut, find = question.cut, question.text("find")
    after, sight = place_in(question.text("cursor"), str), question.sight(ledger)
    if find is not None:
        seen = seen_with(ledger, _token(ledger, find), cut)
        found = (one for one in seen if after is None or one[0] > after)
        return _page(ledger, question, found, partial(states_of, ledger, TICKETS, cut=cut), sight)
    with boards(ledger, (CUSTOMERS, TICKETS), cut) as board:
        walked = board.walk(CUSTOMERS, after)
        return _page(ledger, question, walked, partial(board.states_of, TICKETS), sight)


def _page(
    ledger: Ledger,
    question: Question,
    found: Iterator[tuple[str, Customer]],
    tickets_of: Callable[[list[str]], dict[str, Ticket]],
    sight: Sight,
) -> Record:
    cut, limit = question.cut, question.limit
    return page_of(
        list(islice(found, limit + 1)),
        limit,
        lambda one: one[0],
        lambda page: sight.on_record(customer_records(ledger, page, tickets_of, cut, sight)),
    )


def _token(ledger: Ledger, address: str) -> str:
    """The token of an address or number, written with or without its kind."""
    if address.partition(":")[0] not in PERSONAL_KINDS:
        address = f"{'email' if '@' in address else 'phone'}:{address}"
    return subject_named(ledger, address, "find")


def customer(ledger: Ledger, question: Question) -> Record:
    """The 360° view of one customer."""
    cut, sight = question.cut, question.sight(ledger)
    person = person_in(ledger, question.part("subject"), cut)
    record = portrait_of(ledger, Asked(person, cut, moment_of(ledger, cut)), sight)
    if record is None:
        raise Problem(
            404,
            "not_in_views",
            "this customer is in no view yet" if cut.now else "nothing was known at that time",
        )
    sight.on_record([record])
    return record


def timeline(ledger: Ledger, question: Question) -> Record:
    """What happened with a customer, in the order in which it occurred."""
    cut, limit, sight = question.cut, question.limit, question.sight(ledger)
    wanted = Wanted(
        question.several("channel"),
        question.several("type"),
        question.moment("since", starts=True),
        question.moment("until"),
    )
    after = place_in(question.text("cursor"), Order)
    person = person_in(ledger, question.part("subject"), cut)
    return page_of(
        timeline_page(ledger, person, cut, wanted, limit + 1, after),
        limit,
        lambda told: told.envelope.order,
        lambda page: timeline_records(ledger, page, cut, sight),
    )


def identities(ledger: Ledger, question: Question) -> Record:
    """Which subjects are a customer, and by which facts."""
    cut, sight = question.cut, question.sight(ledger)
    person = person_in(ledger, question.part("subject"), cut)
    return {"items": list(sight.on_record(identity_records(ledger, person, cut, sight)))}


def consents(ledger: Ledger, question: Question) -> Record:
    """What a customer allowed and refused, and when."""
    cut = question.cut
    person = person_in(ledger, question.part("subject"), cut)
    return {"items": consent_records(ledger, person, cut)}


def consent_check(ledger: Ledger, question: Question) -> Record:
    """Whether to send. It is answered from the log itself, and of nobody nothing is granted."""
    cut, subject = whole(ledger, question.cut), question.part("subject")
    asked = question.needed("channel"), question.needed("purpose")
    return verdict(ledger, subject, _known(ledger, subject, cut), asked, cut)


def _known(ledger: Ledger, subject: str, cut: Cut) -> str | None:
    try:
        return person_in(ledger, subject, cut)
    except Problem as problem:
        if problem.status == 404:
            return None
        raise


_FILTERS = (
    several("channel", "Only this channel", CHANNELS),
    several("type", "Only this type of touchpoint", BY_TYPE),
    query("since", "What occurred at or after this time; a bare date is its start."),
    query("until", "What occurred at or before this time; a bare date is its end."),
)
_SHOWN = {400: WRONG, 404: UNKNOWN}
ENDPOINTS = (
    Endpoint(
        method="GET", path="/v1/customers", name="listCustomers", tag="customers", needs=READ,
        handler=window(customers, CUSTOMERS, TICKETS),
        summary="Customers by subject, or those who were seen with an address or number.",
        parameters=(
            query("find", "Only those who were seen with this email address or phone number."),
            *PAGED, *CUT, IN_CLEAR,
        ),
        gives={200: Answer(says="A page of customers.", schema=PAGE), 400: WRONG},
    ),
    Endpoint(
        method="GET", path="/v1/customers/{subject}", name="showCustomer", tag="customers",
        needs=READ, handler=window(customer, CUSTOMERS, TICKETS, LOYALTY, ORDERS),
        summary="The 360° view of one customer.",
        parameters=(SUBJECT, *CUT, IN_CLEAR),
        gives={200: Answer(says="The customer.", schema=OBJECT), **_SHOWN},
    ),
    Endpoint(
        method="GET", path="/v1/customers/{subject}/timeline", name="showTimeline",
        tag="customers", needs=READ, handler=window(timeline),
        summary="What happened with a customer, in the order in which it occurred.",
        parameters=(SUBJECT, *_FILTERS, *PAGED, *CUT, IN_CLEAR),
        gives={200: Answer(says="A page of touchpoints.", schema=PAGE), **_SHOWN},
    ),
    Endpoint(
        method="GET", path="/v1/customers/{subject}/identities", name="showIdentities",
        tag="customers", needs=READ, handler=window(identities),
        summary="Which subjects are a customer, and by which facts.",
        parameters=(SUBJECT, *CUT, IN_CLEAR),
        gives={200: Answer(says="His subjects.", schema=ITEMS), **_SHOWN},
    ),
    Endpoint(
        method="GET", path="/v1/customers/{subject}/consents", name="showConsents",
        tag="consents", needs=READ, handler=window(consents, CONSENTS),
        summary="What a customer allowed and refused, and when.",
        parameters=(SUBJECT, *CUT),
        gives={200: Answer(says="Intervals, each with its cause.", schema=ITEMS), **_SHOWN},
    ),
    Endpoint(
        method="GET", path="/v1/customers/{subject}/consents/check", name="checkConsent",
        tag="consents", needs=(Right.APPEND, Right.READ), handler=window(consent_check),
        summary="Whether a customer may be reached: only if the state is `granted`.",
        parameters=(
            SUBJECT,
            query("channel", "By which way.", required=True, enum=list(CONSENT_CHANNELS)),
            query("purpose", "What for.", required=True, enum=list(PURPOSES)),
            *CUT,
        ),
        gives={200: Answer(says="The state, and who said so.", schema=OBJECT), 400: WRONG},
    ),
)  # fmt: skip
