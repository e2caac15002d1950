"""What holds for every ticket, whatever happens to it."""

from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.occurred import order_of
from domain.tickets import READS, STATUSES, Ticket, evolve, seconds_in, show
from schemas.envelope import Envelope
from schemas.fields import Author
from schemas.ticket import (
    Priority,
    Status,
    TicketAssigned,
    TicketCommented,
    TicketMerged,
    TicketOpened,
    TicketPriorityChanged,
    TicketStatusChanged,
)
from tests.domain.story import START, folded, happened, minute, narrowed

priorities = st.sampled_from(get_args(Priority))
agents = st.none() | st.sampled_from(["ana", "ben", "cyd"])
teams = st.none() | st.sampled_from(["front", "billing"])
titles = st.none() | st.just("~cipher")
ticket_ids = st.just("T1")
facts = st.one_of(
    st.builds(
        TicketOpened,
        ticket_id=ticket_ids,
        priority=st.none() | priorities,
        title=titles,
        team=teams,
        channel=st.none() | st.just("email"),
    ),
    st.builds(TicketAssigned, ticket_id=ticket_ids, assignee=agents, team=teams),
    st.builds(TicketPriorityChanged, ticket_id=ticket_ids, priority=priorities),
    st.builds(TicketStatusChanged, ticket_id=ticket_ids, status=st.sampled_from(get_args(Status))),
    st.builds(
        TicketCommented,
        ticket_id=ticket_ids,
        author=st.sampled_from(get_args(Author)),
        public=st.booleans(),
    ),
    st.builds(TicketMerged, ticket_id=ticket_ids, into_ticket_id=st.sampled_from(["T8", "T9"])),
)
subjects = st.sampled_from(["customer:42", "customer:7"])


@st.composite
def lives(draw: st.DrawFn) -> list[Envelope[Any]]:
    """Touchpoints of one ticket in their order, many of them at the same instant."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 20), facts, subjects), min_size=1, max_size=20))
    touchpoints = [
        happened(number, data, subject=subject, id=str(place))
        for place, (number, data, subject) in enumerate(drawn)
    ]
    return sorted(touchpoints, key=order_of)


@given(lives(), st.integers(0, 20))
def test_a_ticket_stored_in_the_middle_of_a_fold_comes_out_the_same(
    life: list[Envelope[Any]], pause: int
) -> None:
    whole = msgspec.json.encode(folded(evolve, Ticket(), life))
    stored = msgspec.json.encode(folded(evolve, Ticket(), life[:pause]))
    resumed = msgspec.json.decode(stored, type=Ticket)
    assert msgspec.json.encode(folded(evolve, resumed, life[pause:])) == whole


@given(lives())
def test_the_declared_fields_are_all_that_the_fold_needs(life: list[Envelope[Any]]) -> None:
    narrow = folded(evolve, Ticket(), narrowed(READS, life))
    assert narrow == folded(evolve, Ticket(), life)


@given(lives(), st.integers(20, 1000))
def test_the_seconds_of_all_statuses_are_the_life_of_the_ticket(
    life: list[Envelope[Any]], now: int
) -> None:
    seconds = seconds_in(folded(evolve, Ticket(), life), minute(now))
    assert tuple(seconds) == STATUSES
    assert sum(seconds.values()) == (minute(now) - life[0].at) / 1_000_000


@given(lives())
def test_a_resolved_ticket_says_when_and_an_unresolved_one_is_not_closed(
    life: list[Envelope[Any]],
) -> None:
    ticket = show(folded(evolve, Ticket(), life), START)
    if ticket["status"] in {"solved", "closed"}:
        assert ticket["resolved_at"] is not None
    else:
        assert ticket["closed_at"] is None
    assert (ticket["resolved_at"] is None) == (ticket["last_resolved_at"] is None)


def test_the_statuses_are_those_of_the_catalogue() -> None:
    assert get_args(Status) == STATUSES
