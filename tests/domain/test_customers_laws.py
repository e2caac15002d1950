"""What holds for every person, whatever he does."""

from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.customers import READS, Customer, evolve, summary
from domain.occurred import order_of
from schemas.call import CallAnswered
from schemas.chat import ChatHandedOff, ChatStarted
from schemas.consent import ConsentChannel, ConsentGranted, ConsentWithdrawn
from schemas.email import EmailUnsubscribed
from schemas.envelope import Envelope
from schemas.identity import CustomerDescribed, CustomerLinked, Traits
from schemas.money import Money
from schemas.page import PageViewed
from schemas.purchase import OrderCancelled, OrderCompleted, OrderLine, OrderRefunded
from schemas.registry import BY_TYPE
from schemas.survey import SurveyAnswered
from schemas.ticket import Status, TicketMerged, TicketOpened, TicketStatusChanged
from tests.domain.story import folded, happened, narrowed

order_ids = st.sampled_from(["A1", "A2", "A3"])
ticket_ids = st.sampled_from(["T1", "T2"])
moneys = st.builds(
    Money,
    amount=st.decimals("0", "500", places=2).map(str),
    currency=st.sampled_from(["EUR", "USD"]),
)
traffic_sources = st.none() | st.sampled_from(["search", "advert"])
lines = st.builds(OrderLine, product_id=st.just("tea"), quantity=st.just(2), price=moneys)
channels = st.sampled_from(get_args(ConsentChannel))
marketing = st.just("marketing")
traits = st.builds(
    Traits,
    name=st.none() | st.just("~cipher"),
    company=st.none() | st.sampled_from(["Acme", "Bolt"]),
    birth_year=st.none() | st.just(1980) | st.just("~cipher"),
    custom=st.none() | st.just({"b": "1", "a": "2"}) | st.just("~cipher"),
)
facts = st.one_of(
    st.builds(
        OrderCompleted,
        order_id=order_ids,
        total=moneys,
        traffic_source=traffic_sources,
        lines=st.none() | st.tuples(lines),
    ),
    st.builds(OrderRefunded, order_id=order_ids, amount=moneys),
    st.builds(OrderCancelled, order_id=order_ids),
    st.builds(PageViewed, url=st.just("https://shop.example/"), traffic_source=traffic_sources),
    st.builds(TicketOpened, ticket_id=ticket_ids),
    st.builds(TicketStatusChanged, ticket_id=ticket_ids, status=st.sampled_from(get_args(Status))),
    st.builds(TicketMerged, ticket_id=ticket_ids, into_ticket_id=st.just("T9")),
    st.builds(ConsentGranted, channel=channels, purpose=marketing),
    st.builds(ConsentWithdrawn, channel=channels, purpose=marketing),
    st.just(EmailUnsubscribed(message_id="M1")),
    st.builds(
        SurveyAnswered,
        survey_id=st.sampled_from(["S1", "S2"]),
        kind=st.just("csat"),
        score=st.integers(1, 5),
        about=st.none() | ticket_ids,
    ),
    st.builds(CustomerDescribed, traits=traits),
    st.just(CustomerLinked(other="email:~x")),
    st.just(CallAnswered(call_id="C1", agent="ana")),
    st.just(ChatStarted(conversation_id="H1")),
    st.just(ChatHandedOff(conversation_id="H1", to_agent="ben")),
)


@st.composite
def lives(draw: st.DrawFn) -> list[Envelope[Any]]:
    """Touchpoints of one person in their order, many of them at the same instant."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 20), facts), max_size=25))
    touchpoints = [
        happened(number, data, id=str(place)) for place, (number, data) in enumerate(drawn)
    ]
    return sorted(touchpoints, key=order_of)


@given(lives(), st.integers(0, 25))
def test_a_person_stored_in_the_middle_of_a_fold_comes_out_the_same(
    life: list[Envelope[Any]], pause: int
) -> None:
    whole = msgspec.json.encode(folded(evolve, Customer(), life))
    stored = msgspec.json.encode(folded(evolve, Customer(), life[:pause]))
    resumed = msgspec.json.decode(stored, type=Customer)
    assert msgspec.json.encode(folded(evolve, resumed, life[pause:])) == whole


@given(lives())
def test_the_declared_fields_are_all_that_the_fold_needs(life: list[Envelope[Any]]) -> None:
    narrow = folded(evolve, Customer(), narrowed(READS, life))
    assert msgspec.json.encode(narrow) == msgspec.json.encode(folded(evolve, Customer(), life))


@given(lives())
def test_the_channels_add_up_to_the_touchpoints(life: list[Envelope[Any]]) -> None:
    person = summary(folded(evolve, Customer(), life), "customer:42")
    assert sum(person["channels"].values()) == person["touchpoints"]
    assert person["touchpoints"] == sum(BY_TYPE[t.type].CHANNEL is not None for t in life)


@given(lives())
def test_every_order_fact_is_placed_waiting_or_an_anomaly(life: list[Envelope[Any]]) -> None:
    person = summary(folded(evolve, Customer(), life), "customer:42")
    completed = [t.data.order_id for t in life if t.type == OrderCompleted.TYPE]
    orders = person["orders"]
    assert orders["count"] + orders["cancelled"] == len(set(completed))
    assert person["anomalies"] >= len(completed) - len(set(completed))
    others = [t for t in life if t.type in {OrderRefunded.TYPE, OrderCancelled.TYPE}]
    assert orders["unplaced"] == sum(t.data.order_id not in completed for t in others)


def test_every_contact_of_the_catalogue_is_read() -> None:
    contacts = {name for name, cls in BY_TYPE.items() if cls.CHANNEL is not None}
    assert contacts <= READS.keys() <= BY_TYPE.keys()
