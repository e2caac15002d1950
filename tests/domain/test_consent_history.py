"""What a person allows, from when until when, and what was sent to him without consent."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import customers
from domain.consent_history import (
    READS,
    SENDING,
    ConsentHistory,
    answer,
    evolve,
    intervals,
    violation,
)
from domain.consents import CHANNELS
from domain.customers import Customer, consent_state
from domain.occurred import order_of
from schemas.consent import ConsentChannel, ConsentGranted, ConsentWithdrawn
from schemas.email import EmailBounced, EmailSent, EmailUnsubscribed
from schemas.envelope import Envelope
from schemas.fields import rfc3339
from schemas.privacy import PersonErased
from schemas.sms import SmsFailed, SmsSent
from tests.domain.consent_facts import email, erased, granted, sms, unsubscribed, withdrawn
from tests.domain.story import folded, happened, minute, narrowed

Facts = list[Envelope[Any]]
PURPOSES = ("marketing", "service")


def history(*facts: Envelope[Any]) -> ConsentHistory:
    return folded(evolve, ConsentHistory(), facts)


def told(*facts: Envelope[Any]) -> list[tuple[str, str, str, str | None]]:
    """The intervals, briefly: channel, state, from and until as hours and minutes."""
    return [
        (i["channel"], i["state"], i["from"][11:16], i["until"] and i["until"][11:16])
        for i in intervals(history(*facts))
    ]


def sent_without(*facts: Envelope[Any]) -> list[tuple[str, str]]:
    """The violations, briefly: the time of the message, and why."""
    return [(v["time"][11:16], v["why"]) for v in map(violation, history(*facts).violations)]


def state(channel: str, *facts: Envelope[Any], purpose: str = "marketing") -> str:
    return str(answer(history(*facts), channel, purpose)["state"])


def test_an_interval_says_what_held_and_who_said_so() -> None:
    facts = (granted(0, "sms", basis="consent"), withdrawn(5, "sms", basis="objection"))
    assert intervals(history(*facts)) == [
        {
            "channel": "sms", "purpose": "marketing", "state": "granted",
            "from": "2026-01-05T09:00:00Z", "until": "2026-01-05T09:05:00Z",
            "named": "sms", "legal_basis": "consent",
            "type": "consent.granted.v1", "source": "shop", "id": "consent.granted.v1@0",
        },
        {
            "channel": "sms", "purpose": "marketing", "state": "withdrawn",
            "from": "2026-01-05T09:05:00Z", "until": None,
            "named": "sms", "legal_basis": "objection",
            "type": "consent.withdrawn.v1", "source": "shop", "id": "consent.withdrawn.v1@5",
        },
    ]  # fmt: skip


def test_any_covers_every_channel_that_is_named_before_or_after() -> None:
    facts = (granted(0, "email"), withdrawn(1, "any"), granted(2, "sms"))
    assert told(*facts) == [
        ("any", "withdrawn", "09:01", None),
        ("email", "granted", "09:00", "09:01"),
        ("email", "withdrawn", "09:01", None),
        ("sms", "withdrawn", "09:01", "09:02"),
        ("sms", "granted", "09:02", None),
    ]
    assert [i["named"] for i in intervals(history(*facts))] == ["any", "email", "any", "any", "sms"]


def test_nothing_said_is_nothing_granted() -> None:
    assert answer(ConsentHistory(), "sms", "marketing") == {
        "channel": "sms", "purpose": "marketing", "state": "never granted", "since": None,
        "named": None, "legal_basis": None, "type": None, "source": None, "id": None,
    }  # fmt: skip
    assert intervals(ConsentHistory()) == []
    assert state("sms", granted(0, "email"), granted(0, "sms", "service")) == "never granted"


def test_each_channel_and_purpose_has_a_state_and_a_reason_of_its_own() -> None:
    """What cannot be reached is no refusal, and a refusal on one channel none on another."""
    facts = (
        granted(0, "any", "marketing", basis="consent"),
        granted(0, "any", "service", basis="contract", id="service"),
        withdrawn(1, "phone", "marketing", basis="objection"),
        unsubscribed(2),
        happened(3, EmailBounced(message_id="M1")),
        happened(4, SmsFailed(message_id="M2")),
    )
    person = history(*facts)
    found = {
        (channel, purpose): answer(person, channel, purpose)
        for channel in ("email", "sms", "phone")
        for purpose in PURPOSES
    }
    assert {key: (a["state"], a["type"], a["legal_basis"]) for key, a in found.items()} == {
        ("email", "marketing"): ("withdrawn", "email.unsubscribed.v1", None),
        ("email", "service"): ("granted", "consent.granted.v1", "contract"),
        ("sms", "marketing"): ("granted", "consent.granted.v1", "consent"),
        ("sms", "service"): ("granted", "consent.granted.v1", "contract"),
        ("phone", "marketing"): ("withdrawn", "consent.withdrawn.v1", "objection"),
        ("phone", "service"): ("granted", "consent.granted.v1", "contract"),
    }


def test_an_unsubscription_withdraws_marketing_by_email_at_its_own_time() -> None:
    facts = (granted(0, "any"), unsubscribed(5), email(4), email(6), sms(6))
    assert sent_without(*facts) == [("09:06", "unsubscribed")]
    assert state("email", *facts) == "withdrawn"
    assert state("email", *facts, granted(7, "email")) == "granted"


def test_a_marketing_message_without_consent_is_a_violation() -> None:
    facts = (
        sms(0), granted(1, "sms"), sms(2), withdrawn(3, "any"), sms(4), email(4),
    )  # fmt: skip
    assert sent_without(*facts) == [
        ("09:00", "never granted"), ("09:04", "withdrawn"), ("09:04", "withdrawn"),
    ]  # fmt: skip


def test_a_violation_says_which_message_it_was_and_which_withdrawal_forbade_it() -> None:
    (found,) = history(withdrawn(0, "sms", basis="objection"), sms(1)).violations
    assert violation(found) == {
        "time": "2026-01-05T09:01:00Z", "channel": "sms", "purpose": "marketing",
        "campaign": "may", "why": "withdrawn",
        "withdrawal": {
            "time": "2026-01-05T09:00:00Z", "named": "sms", "legal_basis": "objection",
            "type": "consent.withdrawn.v1", "source": "shop", "id": "consent.withdrawn.v1@0",
        },
        "source": "shop", "id": "sms.sent.v1@1",
    }  # fmt: skip


@pytest.mark.parametrize("purpose", ["service", None])
def test_a_message_that_is_not_said_to_be_marketing_needs_no_consent(purpose: str | None) -> None:
    assert sent_without(sms(0, purpose), withdrawn(1, "any"), email(2, purpose)) == []


def test_at_the_same_instant_the_order_of_touchpoints_decides() -> None:
    facts = (granted(0, "sms"), sms(5, sequence=1), withdrawn(5, "sms", sequence=2))
    assert sent_without(*facts) == []
    assert sent_without(*facts, sms(5, sequence=3, id="later")) == [("09:05", "withdrawn")]


def test_neither_number_nor_text_is_kept() -> None:
    kept = msgspec.json.encode(history(sms(0), email(0)))
    assert b"~" not in kept
    assert {name for type_name in SENDING for name in READS[type_name]} == {"purpose", "campaign"}


channels = st.sampled_from(get_args(ConsentChannel))
purposes = st.sampled_from(PURPOSES)
facts = st.one_of(
    st.builds(ConsentGranted, channel=channels, purpose=purposes, legal_basis=st.just("consent")),
    st.builds(ConsentWithdrawn, channel=channels, purpose=purposes),
    st.just(EmailUnsubscribed(message_id="M1")),
    st.just(PersonErased(reason="request 7", certificate_id="C1")),
    st.builds(SmsSent, message_id=st.just("M2"), purpose=st.none() | purposes),
    st.builds(EmailSent, message_id=st.just("M3"), purpose=st.none() | purposes),
)
MINUTES_MAX = 8


@st.composite
def lives(draw: st.DrawFn) -> Facts:
    """Statements and messages of one person in any order, many of them at the same instant."""
    drawn = draw(st.lists(st.tuples(st.integers(0, MINUTES_MAX), facts), max_size=15))
    return [happened(number, data, id=str(place)) for place, (number, data) in enumerate(drawn)]


def counted(known: Facts, channel: str, purpose: str) -> str:
    """The state that these statements make, said in the plainest way: the latest one decides."""
    word = "never granted"
    named: set[str] = set()
    for fact in sorted(known, key=order_of):
        if fact.type == PersonErased.TYPE and purpose in named:
            word = "withdrawn"
        if fact.type == EmailUnsubscribed.TYPE:
            named.add("marketing")
        if fact.type in (ConsentGranted.TYPE, ConsentWithdrawn.TYPE):
            named.add(fact.data.purpose)
        if fact.type == EmailUnsubscribed.TYPE and (channel, purpose) == ("email", "marketing"):
            word = "withdrawn"
        if (
            fact.type in (ConsentGranted.TYPE, ConsentWithdrawn.TYPE)
            and fact.data.purpose == purpose
            and fact.data.channel in (channel, "any")
        ):
            word = "granted" if fact.type == ConsentGranted.TYPE else "withdrawn"
    return word


@given(lives(), st.integers(-1, MINUTES_MAX), st.sampled_from(CHANNELS), purposes)
def test_the_state_at_any_moment_is_counted_from_what_was_said_by_then(
    life: Facts, number: int, channel: str, purpose: str
) -> None:
    known = [fact for fact in life if fact.at <= minute(number)]
    expected = counted(known, channel, purpose)
    assert answer(history(*known), channel, purpose)["state"] == expected
    assert held_at(history(*life), rfc3339(minute(number)), channel, purpose) == expected


def held_at(person: ConsentHistory, time: str, channel: str, purpose: str) -> str:
    """What the intervals of all that is known say of one moment; `any` speaks for the unnamed."""
    named = {(i["channel"], i["purpose"]) for i in intervals(person)}
    asked = channel if (channel, purpose) in named else "any"
    states = [
        i["state"]
        for i in intervals(person)
        if (i["channel"], i["purpose"]) == (asked, purpose)
        and i["from"] <= time
        and (i["until"] is None or time < i["until"])
    ]
    assert len(states) <= 1, "intervals overlap"
    return str(states[0]) if states else "never granted"


@given(lives())
def test_the_violations_are_the_marketing_that_no_statement_before_it_allowed(life: Facts) -> None:
    expected = []
    for sent in sorted(life, key=order_of):
        if sent.type in SENDING and sent.data.purpose == "marketing":
            before = [fact for fact in life if order_of(fact) < order_of(sent)]
            if counted(before, SENDING[sent.type], "marketing") != "granted":
                expected.append(sent.id)
    assert [found.id for found in history(*life).violations] == expected


@given(lives(), st.sampled_from(CHANNELS), purposes)
def test_the_view_of_customers_says_the_same(life: Facts, channel: str, purpose: str) -> None:
    person = folded(customers.evolve, Customer(), life)
    decides = consent_state(person, channel, purpose)
    said = answer(history(*life), channel, purpose)
    assert (decides.state if decides else "never granted") == said["state"]
    assert (decides.id if decides else None) == said["id"]


@given(lives(), st.integers(0, 15))
def test_a_history_stored_in_the_middle_of_a_fold_comes_out_the_same(
    life: Facts, pause: int
) -> None:
    life = sorted(life, key=order_of)
    stored = msgspec.json.encode(history(*life[:pause]))
    resumed = msgspec.json.decode(stored, type=ConsentHistory)
    whole = msgspec.json.encode(history(*life))
    assert msgspec.json.encode(folded(evolve, resumed, life[pause:])) == whole


@given(lives())
def test_the_declared_fields_are_all_that_the_fold_needs(life: Facts) -> None:
    narrow = folded(evolve, ConsentHistory(), narrowed(READS, life))
    assert msgspec.json.encode(narrow) == msgspec.json.encode(history(*life))


def test_an_erasure_ends_every_consent_from_before_and_none_from_after() -> None:
    before = (granted(0, "sms"), granted(1, "any", "service"))
    facts = (*before, erased(5), sms(6), granted(9, "sms"), sms(10))
    assert told(*before, erased(5)) == [
        ("any", "withdrawn", "09:05", None),
        ("sms", "granted", "09:00", "09:05"),
        ("sms", "withdrawn", "09:05", None),
        ("any", "granted", "09:01", "09:05"),
        ("any", "withdrawn", "09:05", None),
    ]
    assert sent_without(*facts) == [("09:06", "withdrawn")]
    assert (state("sms", *facts), state("post", *facts, purpose="service")) == (
        "granted",
        "withdrawn",
    )
    decides = answer(history(*before, erased(5)), "sms", "marketing")
    assert (decides["type"], decides["id"]) == ("person.erased.v1", "person.erased.v1@5")


def test_an_erasure_says_nothing_of_what_was_never_said() -> None:
    assert told(erased(5)) == []
    assert told(erased(5), granted(6, "sms")) == [("sms", "granted", "09:06", None)]
    assert state("sms", granted(0, "sms", "service"), erased(5)) == "never granted"


def test_the_view_of_customers_agrees_and_takes_an_erasure_for_no_contact() -> None:
    facts = (granted(0, "sms"), granted(1, "any", "service"), erased(5), granted(9, "email"))
    person = folded(customers.evolve, Customer(), facts)
    assert (person.touchpoints, person.last_type) == (3, "consent.granted.v1")
    for channel in CHANNELS:
        for purpose in PURPOSES:
            decides = consent_state(person, channel, purpose)
            said = decides.state if decides else "never granted"
            assert said == state(channel, *facts, purpose=purpose)
