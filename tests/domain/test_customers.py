"""One person: contacts, traits, tickets, and the summary of all of it."""

from typing import Any

import msgspec

from domain.customers import Customer, consent_state, evolve, summary
from schemas.call import CallEnded
from schemas.chat import ChatHandedOff, ChatStarted
from schemas.consent import ConsentGranted, ConsentWithdrawn
from schemas.email import EmailReceived, EmailUnsubscribed
from schemas.envelope import Envelope
from schemas.identity import CustomerDescribed, CustomerLinked, Traits
from schemas.survey import SurveyAnswered
from schemas.ticket import (
    Status,
    TicketAssigned,
    TicketCommented,
    TicketMerged,
    TicketOpened,
    TicketStatusChanged,
)
from tests.domain.story import folded, happened


def shown(*touchpoints: Envelope[Any]) -> dict[str, Any]:
    return summary(folded(evolve, Customer(), touchpoints), "customer:42")


def email(number: float, **more: Any) -> Envelope[Any]:
    return happened(number, EmailReceived(message_id="M1"), **more)


def call(number: float, agent: str | None = "ana") -> Envelope[Any]:
    return happened(
        number,
        CallEnded(
            call_id="C1", direction="inbound", outcome="answered", duration_seconds=9, agent=agent
        ),
    )


def test_a_person_of_whom_nothing_is_known_has_an_empty_summary() -> None:
    assert shown() == {
        "customer": "customer:42",
        "first_seen": None,
        "last_seen": None,
        "touchpoints": 0,
        "channels": {},
        "last_interaction": None,
        "orders": {"count": 0, "cancelled": 0, "net": [], "first": None, "unplaced": 0},
        "tickets": {"open": 0, "total": 0},
        "traits": {},
        "consents": [],
        "satisfaction": {
            "csat": {"answers": 0, "mean": None, "satisfied_percent": None},
            "nps": {"answers": 0, "score": None},
            "ces": {"answers": 0, "mean": None},
        },
        "anomalies": 0,
    }
    assert msgspec.json.encode(Customer()) == b"{}"


def test_contacts_are_counted_by_channel_between_the_first_and_the_last() -> None:
    person = shown(email(0), call(5), email(9))
    assert (person["touchpoints"], person["channels"]) == (3, {"call": 1, "email": 2})
    assert person["first_seen"] == "2026-01-05T09:00:00Z"
    assert person["last_seen"] == "2026-01-05T09:09:00Z"


def test_facts_of_identity_are_no_contacts() -> None:
    person = shown(happened(0, CustomerLinked(other="email:~x")))
    assert (person["touchpoints"], person["first_seen"]) == (0, None)


def test_the_last_interaction_says_what_it_was_and_by_whom() -> None:
    assert shown(email(0), call(5))["last_interaction"] == {
        "type": "call.ended.v1",
        "agent": "ana",
        "channel": "call",
        "time": "2026-01-05T09:05:00Z",
        "source": "shop",
        "id": "call.ended.v1@5",
    }
    assert shown(call(5), call(6, agent=None))["last_interaction"]["agent"] is None


def test_a_contact_of_a_kind_that_has_no_agent_is_by_nobody() -> None:
    chat = happened(6, ChatStarted(conversation_id="H1"))
    assert shown(call(5), chat)["last_interaction"]["agent"] is None


def test_whoever_takes_over_a_chat_or_a_ticket_is_its_agent() -> None:
    chat = happened(0, ChatHandedOff(conversation_id="H1", to_agent="ben"))
    ticket = happened(1, TicketAssigned(ticket_id="T1", assignee="cyd"))
    assert shown(chat)["last_interaction"]["agent"] == "ben"
    assert shown(chat, ticket)["last_interaction"]["agent"] == "cyd"


def test_at_the_same_instant_the_order_of_the_source_decides_which_was_last() -> None:
    person = shown(email(0, id="a", sequence=2), email(0, id="b", sequence=1))
    assert person["last_interaction"]["id"] == "a"


def described(number: float, **traits: Any) -> Envelope[Any]:
    return happened(number, CustomerDescribed(traits=Traits(**traits)), source="crm")


def test_the_latest_value_of_each_trait_holds_and_an_absent_one_leaves_it_alone() -> None:
    traits = shown(
        described(1, company="Acme", segment="gold"),
        described(0, company="Early", country="IT"),
        described(2, segment="silver"),
    )["traits"]
    assert {name: said["value"] for name, said in traits.items()} == {
        "company": "Acme",
        "country": "IT",
        "segment": "silver",
    }


def test_a_trait_is_kept_as_it_stands_with_the_touchpoint_that_stated_it() -> None:
    person = shown(described(3, name="~cipher", birth_year=1980, custom={"shoe": "42"}))
    assert person["traits"]["name"] == {
        "value": "~cipher",
        "time": "2026-01-05T09:03:00Z",
        "source": "crm",
        "id": "customer.described.v1@3",
        "subject": "customer:42",
    }
    assert person["traits"]["birth_year"]["value"] == 1980
    assert person["traits"]["custom"]["value"] == {"shoe": "42"}


def went(number: float, status: Status, ticket_id: str = "T1") -> Envelope[Any]:
    return happened(number, TicketStatusChanged(ticket_id=ticket_id, status=status))


def test_a_ticket_is_open_until_it_is_solved_closed_or_merged() -> None:
    opened = happened(0, TicketOpened(ticket_id="T1"))
    assert shown(opened)["tickets"] == {"open": 1, "total": 1}
    assert shown(opened, went(1, "on_hold"))["tickets"] == {"open": 1, "total": 1}
    assert shown(opened, went(1, "solved"))["tickets"] == {"open": 0, "total": 1}
    assert shown(opened, went(1, "closed"), went(2, "open"))["tickets"]["open"] == 1


def test_a_merged_ticket_stays_out_of_the_open_ones() -> None:
    merged = happened(1, TicketMerged(ticket_id="T1", into_ticket_id="T2"))
    assert shown(merged, went(2, "open"))["tickets"] == {"open": 0, "total": 1}


def test_a_ticket_counts_from_whatever_names_it_first() -> None:
    comment = TicketCommented(ticket_id="T7", author="customer", public=True)
    person = shown(happened(0, comment), went(1, "closed", "T8"))
    assert person["tickets"] == {"open": 1, "total": 2}


def granted(number: float, channel: Any, purpose: Any = "marketing") -> Envelope[Any]:
    return happened(number, ConsentGranted(channel=channel, purpose=purpose))


def withdrawn(number: float, channel: Any, purpose: Any = "marketing") -> Envelope[Any]:
    return happened(number, ConsentWithdrawn(channel=channel, purpose=purpose))


def consent(*touchpoints: Envelope[Any], channel: str = "email") -> str | None:
    state = folded(evolve, Customer(), touchpoints)
    decides = consent_state(state, channel, "marketing")
    return None if decides is None else decides.state


def test_without_a_statement_there_is_neither_consent_nor_refusal() -> None:
    assert consent() is None
    assert consent(granted(0, "email", "service")) is None
    assert consent(granted(0, "sms")) is None


def test_the_latest_statement_decides_whether_it_named_the_channel_or_any() -> None:
    assert consent(granted(0, "email"), withdrawn(1, "any")) == "withdrawn"
    assert consent(withdrawn(0, "any"), granted(1, "email")) == "granted"
    assert consent(withdrawn(1, "email"), granted(0, "any")) == "withdrawn"
    assert consent(granted(0, "any")) == "granted"


def test_a_statement_on_one_channel_leaves_the_others_under_any() -> None:
    told = (granted(0, "any"), withdrawn(1, "email"))
    assert consent(*told, channel="sms") == "granted"
    assert consent(*told, channel="any") == "granted"


def test_at_the_same_instant_the_order_of_touchpoints_decides_consent() -> None:
    later = happened(0, ConsentGranted(channel="email", purpose="marketing"), sequence=2)
    earlier = happened(0, ConsentWithdrawn(channel="any", purpose="marketing"), sequence=1)
    assert consent(later, earlier) == "granted"


def test_an_unsubscription_refuses_marketing_by_email_and_nothing_else() -> None:
    told = (granted(0, "any"), happened(1, EmailUnsubscribed(message_id="M1")))
    assert consent(*told) == "withdrawn"
    assert consent(*told, channel="sms") == "granted"
    assert consent(*told, granted(2, "email")) == "granted"


def test_the_summary_lists_what_holds_for_each_channel_ever_named() -> None:
    consents = shown(granted(0, "email"), withdrawn(1, "any"), granted(2, "sms"))["consents"]
    assert [(c["channel"], c["purpose"], c["state"], c["time"]) for c in consents] == [
        ("any", "marketing", "withdrawn", "2026-01-05T09:01:00Z"),
        ("email", "marketing", "withdrawn", "2026-01-05T09:01:00Z"),
        ("sms", "marketing", "granted", "2026-01-05T09:02:00Z"),
    ]
    assert consents[1]["id"] == "consent.withdrawn.v1@1"


def answered(
    number: float, kind: Any, score: int, about: str | None = None, survey_id: str = "S1"
) -> Envelope[Any]:
    data = SurveyAnswered(survey_id=survey_id, kind=kind, score=score, about=about)
    return happened(number, data)


def test_a_second_answer_about_the_same_thing_replaces_the_first() -> None:
    csat = shown(
        answered(0, "csat", 1, "T1"), answered(1, "csat", 5, "T1"), answered(2, "csat", 3, "T2")
    )["satisfaction"]["csat"]
    assert csat == {"answers": 2, "mean": 4.0, "satisfied_percent": 50.0}


def test_answers_about_nothing_in_particular_are_one_per_survey() -> None:
    csat = shown(
        answered(0, "csat", 1),
        answered(1, "csat", 4),
        answered(2, "csat", 2, survey_id="S2"),
    )["satisfaction"]["csat"]
    assert (csat["answers"], csat["mean"]) == (2, 3.0)


def test_nps_is_promoters_less_detractors() -> None:
    scores = (10, 9, 8, 7, 6)
    nps = shown(*(answered(n, "nps", score, f"A{n}") for n, score in enumerate(scores)))
    assert nps["satisfaction"]["nps"] == {"answers": 5, "score": 20.0}
    only_detractors = shown(answered(0, "nps", 0))["satisfaction"]["nps"]
    assert only_detractors == {"answers": 1, "score": -100.0}


def test_effort_is_the_mean_of_its_answers() -> None:
    ces = shown(answered(0, "ces", 2, "T1"), answered(1, "ces", 7, "T2"))["satisfaction"]["ces"]
    assert ces == {"answers": 2, "mean": 4.5}
