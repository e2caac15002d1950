"""The catalogue is a contract: these types, with these fields, and no others."""

from dataclasses import MISSING, fields

import pytest

from schemas.personal_fields import personal_fields
from schemas.registry import BY_TYPE, TOUCHPOINTS
from schemas.touchpoint import Touchpoint
from tests.schemas.checking import MINIMAL, accepted, minimal, refusals

CATALOGUE: dict[str, str] = {
    "call.started.v1": "call_id direction queue? phone?†",
    "call.answered.v1": "call_id agent",
    "call.ended.v1": (
        "call_id direction outcome duration_seconds wait_seconds? agent? topic? resolved?"
    ),
    "email.received.v1": ("message_id thread_id? subject_line?† body?† campaign? purpose? agent?"),
    "email.sent.v1": "message_id thread_id? subject_line?† body?† campaign? purpose? agent?",
    "email.delivered.v1": "message_id campaign? reason?",
    "email.opened.v1": "message_id campaign? reason?",
    "email.bounced.v1": "message_id campaign? reason?",
    "email.unsubscribed.v1": "message_id campaign? reason?",
    "email.clicked.v1": "message_id url campaign?",
    "chat.started.v1": "conversation_id page?",
    "chat.message_posted.v1": "conversation_id message_id author agent? text?†",
    "chat.handed_off.v1": "conversation_id to_agent",
    "chat.ended.v1": "conversation_id duration_seconds?",
    "sms.sent.v1": "message_id phone?† text?† campaign? purpose?",
    "sms.delivered.v1": "message_id phone?† text?† campaign? purpose?",
    "sms.failed.v1": "message_id phone?† text?† campaign? purpose?",
    "sms.replied.v1": "message_id phone?† text?† campaign? purpose?",
    "social.message_received.v1": "network post_id text?† agent?",
    "social.message_sent.v1": "network post_id text?† agent?",
    "social.mentioned.v1": "network post_id text?† agent?",
    "page.viewed.v1": "url title? session_id? referrer? traffic_source?",
    "form.submitted.v1": "form_id fields?†",
    "visit.scheduled.v1": "visit_id at? place? agent?",
    "visit.completed.v1": "visit_id at? place? agent?",
    "visit.cancelled.v1": "visit_id at? place? agent?",
    "order.completed.v1": "order_id total lines? discount? coupon? traffic_source? place?",
    "order.refunded.v1": "order_id amount",
    "order.cancelled.v1": "order_id reason?",
    "checkout.started.v1": "checkout_id total?",
    "referral.made.v1": "referral_id programme referee",
    "referral.advanced.v1": "referral_id stage",
    "referral.converted.v1": "referral_id order_id?",
    "ticket.opened.v1": "ticket_id channel? kind? priority? title?† team?",
    "ticket.assigned.v1": "ticket_id assignee? team?",
    "ticket.priority_changed.v1": "ticket_id priority",
    "ticket.status_changed.v1": "ticket_id status",
    "ticket.commented.v1": "ticket_id author public agent? text?†",
    "ticket.merged.v1": "ticket_id into_ticket_id",
    "survey.answered.v1": "survey_id kind score about? comment?†",
    "statement.delivery_chosen.v1": "delivery",
    "loyalty.rules_published.v1": (
        "programme version valid_from earn expires_after_days? pending_days? point_value? "
        "minimum_redemption?"
    ),
    "loyalty.programme_closed.v1": "programme last_redemption_at",
    "points.redeemed.v1": "programme redemption_id points reward?",
    "points.redemption_cancelled.v1": "programme redemption_id",
    "points.adjusted.v1": "programme adjustment_id points reason",
    "consent.granted.v1": "channel purpose legal_basis? evidence?†",
    "consent.withdrawn.v1": "channel purpose legal_basis? evidence?†",
    "customer.described.v1": "traits",
    "customer.linked.v1": "other",
    "customer.merged.v1": "other reason†",
    "customer.unmerged.v1": "other reason† merge_id merge_source",
    "event.tracked.v1": "name properties?†",
    "touchpoint.voided.v1": "voided_source voided_id reason†",
    "identity.rules_published.v1": "version valid_from link_kinds blocked_values at_most",
    "person.erased.v1": "reason certificate_id",
    "personal_data.viewed.v1": "of fields purpose",
    "note.added.v1": "note_id text† agent internal",
    "cost.recorded.v1": "amount about channel?",
}
"""`?` may be absent, `†` is personal. Every type also has `extra?†`."""

EVERY_TYPE = pytest.mark.parametrize("type_name", CATALOGUE)


def test_the_registry_holds_the_catalogue_in_its_order() -> None:
    assert list(BY_TYPE) == list(CATALOGUE)


def test_the_minimal_data_below_covers_the_catalogue() -> None:
    assert list(MINIMAL) == list(CATALOGUE)


@EVERY_TYPE
def test_a_type_has_the_fields_of_the_catalogue_and_no_others(type_name: str) -> None:
    assert sorted(_fields_of(BY_TYPE[type_name])) == sorted(
        [*CATALOGUE[type_name].split(), "extra?†"]
    )


def _fields_of(cls: type[Touchpoint]) -> list[str]:
    personal = {field.path[0] for field in personal_fields(cls) if len(field.path) == 1}
    return [
        field.name
        + ("" if field.default is MISSING else "?")
        + ("†" if field.name in personal else "")
        for field in fields(cls)
    ]


@EVERY_TYPE
def test_the_minimal_data_is_accepted_with_everything_else_absent(type_name: str) -> None:
    touchpoint = accepted(type_name, minimal(type_name))
    assert type_name == touchpoint.TYPE
    assert touchpoint.extra is None


@EVERY_TYPE
def test_an_absent_required_field_is_named(type_name: str) -> None:
    required = [name for name in CATALOGUE[type_name].split() if "?" not in name]
    for name in (name.rstrip("†") for name in required if name != "traits"):
        data = {key: value for key, value in minimal(type_name).items() if key != name}
        assert list(refusals(type_name, data)) == [name]


@EVERY_TYPE
def test_a_null_stands_for_an_optional_field_and_for_no_other(type_name: str) -> None:
    for name in CATALOGUE[type_name].split():
        field = name.rstrip("?†")
        problems = refusals(type_name, minimal(type_name, **{field: None}))
        assert list(problems) == ([] if "?" in name else [field])


@EVERY_TYPE
def test_an_unknown_field_is_refused_with_its_path(type_name: str) -> None:
    assert list(refusals(type_name, minimal(type_name, colour="blue"))) == ["colour"]


@EVERY_TYPE
def test_every_type_takes_a_map_of_extras(type_name: str) -> None:
    extra = {"shelf": 4, "tags": ["a", None], "deep": {"er": 1.5}}
    assert accepted(type_name, minimal(type_name, extra=extra)).extra == extra
    assert list(refusals(type_name, minimal(type_name, extra="text"))) == ["extra"]


@pytest.mark.parametrize("cls", TOUCHPOINTS, ids=lambda cls: cls.TYPE)
def test_a_touchpoint_is_frozen_and_holds_nothing_but_its_fields(cls: type[Touchpoint]) -> None:
    touchpoint = accepted(cls.TYPE, minimal(cls.TYPE))
    assert not hasattr(touchpoint, "__dict__")
    with pytest.raises(AttributeError):
        touchpoint.extra = {}
