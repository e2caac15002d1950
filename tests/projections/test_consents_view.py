"""The consents view end to end: whatever comes late, each message is judged by its own time."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.consent_history import ConsentHistory, answer, violation
from domain.consents import CHANNELS
from domain.occurred import order_of
from ledger.ledger import Ledger
from projections.consents import CONSENTS
from projections.customers import CUSTOMERS
from projections.follow import follow
from projections.query import NOW, Cut, state_of, walk
from projections.rebuild import rebuild
from projections.verify import verify
from schemas.consent import ConsentChannel, ConsentGranted, ConsentWithdrawn
from schemas.correction import TouchpointVoided
from schemas.email import EmailUnsubscribed
from schemas.envelope import Envelope
from schemas.identity import CustomerMerged, CustomerUnmerged
from schemas.sms import SmsSent
from tests.domain.consent_facts import email, granted, sms, unsubscribed, withdrawn
from tests.domain.story import happened, minute
from tests.places import plain_connection
from tests.projections import oracle
from tests.projections.ledgers import Workshop, logged, rows_of, state_in, tell

ME = "customer:42"
VIEWS = [CUSTOMERS, CONSENTS]


def person(ledger: Ledger, cut: Cut = NOW) -> ConsentHistory:
    return state_of(ledger, CONSENTS, ME, cut) or ConsentHistory()


def sent_without(ledger: Ledger, cut: Cut = NOW) -> list[tuple[str, str]]:
    """The violations, briefly: the message, and why."""
    return [(v["id"], v["why"]) for v in map(violation, person(ledger, cut).violations)]


def is_the_same_rebuilt(ledger: Ledger) -> None:
    live = rows_of(ledger, CONSENTS)
    assert live == oracle.rows(CONSENTS, logged(ledger))
    rebuild(ledger, [CONSENTS])
    assert rows_of(ledger, CONSENTS) == live


def test_a_withdrawal_that_arrives_late_makes_violations_of_what_was_sent_after_it(
    ledger: Ledger,
) -> None:
    tell(ledger, granted(0, "sms"), sms(5), sms(20), sms(21, "service"))
    follow(ledger, VIEWS)
    known_before = ledger.log.head().recorded_at
    assert sent_without(ledger) == []
    tell(ledger, withdrawn(10, "sms"))
    follow(ledger, VIEWS)
    assert sent_without(ledger) == [("sms.sent.v1@20", "withdrawn")]
    assert sent_without(ledger, Cut(known_at=known_before)) == []
    assert sent_without(ledger, Cut(as_of=minute(15))) == []
    tell(ledger, withdrawn(10, "sms"), sms(20))  # sent once more by a door that was not sure
    follow(ledger, VIEWS)
    assert sent_without(ledger) == [("sms.sent.v1@20", "withdrawn")], "each of them once"
    is_the_same_rebuilt(ledger)


def test_a_consent_that_arrives_late_was_there_all_the_time(ledger: Ledger) -> None:
    tell(ledger, sms(5), email(6))
    follow(ledger, VIEWS)
    assert [why for _, why in sent_without(ledger)] == ["never granted", "never granted"]
    tell(ledger, granted(0, "any"))
    follow(ledger, VIEWS)
    assert sent_without(ledger) == []
    is_the_same_rebuilt(ledger)


def test_a_withdrawal_that_is_voided_forbade_nothing(ledger: Ledger) -> None:
    refusal = withdrawn(10, "any")
    tell(ledger, granted(0, "sms"), refusal, sms(20))
    follow(ledger, VIEWS)
    known_before = ledger.log.head().recorded_at
    assert sent_without(ledger) == [("sms.sent.v1@20", "withdrawn")]
    void = TouchpointVoided(voided_source=refusal.source, voided_id=refusal.id, reason="a slip")
    tell(ledger, happened(30, void))
    follow(ledger, VIEWS)
    assert sent_without(ledger) == []
    assert sent_without(ledger, Cut(known_at=known_before)) == [("sms.sent.v1@20", "withdrawn")]
    is_the_same_rebuilt(ledger)


def test_a_message_that_is_voided_was_never_sent(ledger: Ledger) -> None:
    tell(ledger, sms(20))
    void = TouchpointVoided(voided_source="shop", voided_id="sms.sent.v1@20", reason="a test")
    tell(ledger, happened(30, void))
    follow(ledger, VIEWS)
    assert sent_without(ledger) == []


@pytest.mark.parametrize("arriving", list(permutations((granted(0, "any"), unsubscribed(5)))))
def test_an_unsubscription_counts_from_when_it_occurred_not_from_when_it_arrived(
    ledger: Ledger, arriving: Sequence[Any]
) -> None:
    tell(ledger, email(4), email(6))
    for fact in arriving:
        tell(ledger, fact)
        follow(ledger, VIEWS)
    assert sent_without(ledger) == [("email.sent.v1@6", "unsubscribed")]
    for view in VIEWS:
        assert verify(ledger, view).differences == 0


def test_what_somebody_said_under_one_name_holds_for_all_his_names_while_they_are_one(
    ledger: Ledger,
) -> None:
    refused = withdrawn(10, "any", subject="customer:7", id="refused")
    tell(ledger, granted(0, "sms"), sms(20), refused)
    follow(ledger, VIEWS)
    assert sent_without(ledger) == []
    tell(ledger, happened(30, CustomerMerged(other="customer:7", reason="twice"), id="merge"))
    follow(ledger, VIEWS)
    assert sent_without(ledger) == [("sms.sent.v1@20", "withdrawn")]
    parted = CustomerUnmerged(
        other="customer:7", reason="no", merge_id="merge", merge_source="shop"
    )
    tell(ledger, happened(40, parted))
    follow(ledger, VIEWS)
    assert sent_without(ledger) == []
    assert verify(ledger, CONSENTS).differences == 0


def test_analysts_see_who_may_be_reached_and_how_often_it_went_wrong(ledger: Ledger) -> None:
    tell(
        ledger,
        granted(0, "any"),
        withdrawn(1, "sms"),
        unsubscribed(2),
        granted(3, "phone", "service"),
        email(4),
        sms(5),
        granted(6, "email"),
        sms(0, subject="customer:7", id="another"),
    )
    follow(ledger, VIEWS)
    with plain_connection(ledger.address) as connection:
        rows = connection.execute(
            "SELECT key, email_marketing, sms_marketing, phone_marketing, violations FROM consents "
            "ORDER BY key"
        ).fetchall()
    assert [tuple(row) for row in rows] == [
        ("customer:42", "granted", "withdrawn", "granted", 2),
        ("customer:7", "never granted", "never granted", "never granted", 1),
    ]


STATEMENTS = st.one_of(
    st.builds(
        ConsentGranted,
        channel=st.sampled_from(get_args(ConsentChannel)),
        purpose=st.just("marketing"),
    ),
    st.builds(
        ConsentWithdrawn,
        channel=st.sampled_from(get_args(ConsentChannel)),
        purpose=st.just("marketing"),
    ),
    st.just(EmailUnsubscribed(message_id="M1")),
    st.just(SmsSent(message_id="M2", purpose="marketing")),
)
MINUTES_MAX = 6


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Envelope[Any]]]:
    """Statements and messages of one person as they arrive: in groups, in any order."""
    drawn = draw(st.lists(st.tuples(st.integers(0, MINUTES_MAX), STATEMENTS), max_size=10))
    facts = [happened(number, data, id=str(place)) for place, (number, data) in enumerate(drawn)]
    cut = draw(st.integers(0, len(facts)))
    return [group for group in (facts[:cut], facts[cut:]) if group]


def test_whatever_the_order_of_arrival_the_state_is_counted_from_what_occurred(
    workshop: Workshop,
) -> None:
    @workshop.examples(40)
    @given(arrivals(), st.integers(-1, MINUTES_MAX), st.sampled_from(CHANNELS))
    def law(groups: list[list[Envelope[Any]]], number: int, channel: str) -> None:
        facts = [fact for group in groups for fact in group]
        with workshop.ledger() as ledger:
            for group in groups:
                tell(ledger, *group)
                follow(ledger, [CONSENTS])
            found = state_of(ledger, CONSENTS, ME, Cut(as_of=minute(number)))
            said = answer(found or ConsentHistory(), channel, "marketing")["state"]
            assert said == counted(facts, channel, (minute(number) + 1,))
            _judges_as_counted(ledger, facts)

    law()


def counted(facts: list[Envelope[Any]], channel: str, before: tuple[Any, ...]) -> str:
    """What was said last before a place in the order, of all that had occurred by then."""
    word = "never granted"
    for fact in sorted(facts, key=order_of):
        if order_of(fact) >= before:
            break
        named = getattr(fact.data, "channel", "email")
        if fact.type != SmsSent.TYPE and named in (channel, "any"):
            word = "granted" if fact.type == ConsentGranted.TYPE else "withdrawn"
    return word


def _judges_as_counted(ledger: Ledger, facts: list[Envelope[Any]]) -> None:
    """The table holds each message that was sent without consent, once."""
    sent = sorted((fact for fact in facts if fact.type == SmsSent.TYPE), key=order_of)
    expected = [f.id for f in sent if counted(facts, "sms", order_of(f)) != "granted"]
    rows = rows_of(ledger, CONSENTS)
    assert [v.id for row in rows.values() for v in state_in(row, CONSENTS).violations] == expected
    assert [v.id for _, state in walk(ledger, CONSENTS) for v in state.violations] == expected
