"""What calls become: who, what, and nothing that was told is lost."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.door import Refused
from tests.web.segment.shapes import KEY, RECEIVED, STAMPED, Call, call, made, one, track
from web.segment.call import KINDS, Delivery
from web.segment.calls import touchpoints

LIBRARY = {"library": {"name": "analytics-python", "version": "2.4.0"}}


def test_a_call_of_no_known_meaning_is_tracked_as_it_is() -> None:
    sent = call(
        "track",
        event="Clicked the Logo",
        properties={"size": 3, "deep": {"list": [1, None]}},
        context={"ip": "203.0.113.5", **LIBRARY},
        channel="server",
    )
    assert one(sent, sent_at="2026-01-05T10:00:00.5Z") == {
        "specversion": "1.0",
        "id": "m-1",
        "source": "shop",
        "type": "event.tracked.v1",
        "subject": "customer:42",
        "time": "2026-01-05T10:00:00Z",
        "originaltimestamp": "2026-01-05T10:00:00Z",
        "sentat": "2026-01-05T10:00:00.500000Z",
        "receivedat": "2026-01-05T10:00:01Z",
        "data": {
            "name": "Clicked the Logo",
            "properties": {"size": 3, "deep": {"list": [1, None]}},
            "extra": {
                "context": {"ip": "203.0.113.5", **LIBRARY},
                "call": {"channel": "server"},
            },
        },
    }


@pytest.mark.parametrize(
    ("ids", "subject"),
    [
        ({"userId": "42", "anonymousId": None}, "customer:42"),
        ({"userId": "42", "anonymousId": "a"}, "customer:42"),
        ({"userId": 42}, "customer:42"),
        ({"userId": " 42 "}, "customer:42"),
        ({"userId": None, "anonymousId": "a-9"}, "anonymous:a-9"),
        ({"userId": "", "anonymousId": "a-9"}, "anonymous:a-9"),
        ({"userId": "", "anonymousId": 7}, "anonymous:7"),
    ],
)
def test_whom_a_call_is_about(ids: dict[str, Any], subject: str) -> None:
    event = one({**track("Did"), **ids})
    assert event["subject"] == subject
    known = ids.get("anonymousId") if subject.startswith("customer") else None
    assert event["data"].get("extra", {}).get("call", {}).get("anonymousId") == known


@pytest.mark.parametrize(
    ("sent", "reason", "path"),
    [
        (call("track", event="x", userId=None), "missing", "userId"),
        (call("track", event="x", userId=""), "missing", "userId"),
        (call("track", event="x", userId={"id": 1}), "id_form", "userId"),
        (call("track", event="x", messageId=["1"]), "id_form", "messageId"),
        (call("track", event="x", messageId="1" * 196), "string_too_long", "messageId"),
        (call("track"), "missing", "event"),
        (call("track", event="x", timestamp="soon"), "time_form", "timestamp"),
        (call("heartbeat"), "call_type", "type"),
        ({"userId": "1", "event": "x"}, "call_type", "type"),
        (call("alias"), "missing", "previousId"),
        (call("alias", userId=None, anonymousId="a"), "missing", "userId"),
    ],
)
def test_what_cannot_be_a_touchpoint_is_refused_with_its_path(
    sent: Call, reason: str, path: str
) -> None:
    with pytest.raises(Refused) as refused:
        made(sent)
    assert (refused.value.reason, refused.value.path) == (reason, path)


def test_an_id_that_is_missing_is_made_of_what_a_retry_says_again() -> None:
    sent = {**track("Did", n=1), "messageId": None}
    first = one({**sent, "sentAt": "2026-01-05T10:00:00Z"})["id"]
    assert first.startswith("content-")
    assert one({**sent, "sentAt": "2026-01-05T10:00:09Z", "writeKey": "x"})["id"] == first
    assert one({**sent, "properties": {"n": 2}})["id"] != first
    assert one({**sent, "timestamp": "2026-01-05T10:00:00.001Z"})["id"] != first
    other = one(sent, content_key=b"k" * 32)["id"]
    assert other != first, "who has not the key can try what was said, and know"


def test_identify_describes_the_customer_and_links_what_he_did_before() -> None:
    traits = {
        "firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com",
        "phone": "+15550100", "company": {"name": "Engines", "size": 3}, "locale": "en-GB",
        "birthday": "1915-12-10", "address": {"country": "GB", "city": "London"}, "plan": "pro",
        "age": 36, "vip": True, "gone": None, "tags": ["a"],
    }  # fmt: skip
    described, linked = made(call("identify", traits=traits, anonymousId="a-9", context=LIBRARY))
    assert described["id"] == "m-1"
    assert described["type"] == "customer.described.v1"
    assert described["data"]["traits"] == {
        "name": "Ada Lovelace", "email": "ada@example.com", "phone": "+15550100",
        "company": "Engines", "language": "en-GB", "country": "GB",
        "custom": {"firstName": "Ada", "lastName": "Lovelace", "locale": "en-GB",
                   "birthday": "1915-12-10", "plan": "pro", "age": "36", "vip": "true"},
        "birth_year": 1915,
    }  # fmt: skip
    assert described["data"]["extra"]["traits"] == {
        "company": {"name": "Engines", "size": 3},
        "address": {"country": "GB", "city": "London"},
        "gone": None,
        "tags": ["a"],
    }
    assert (linked["id"], linked["type"]) == ("m-1:link", "customer.linked.v1")
    assert (linked["subject"], linked["data"]) == ("customer:42", {"other": "anonymous:a-9"})


def test_traits_in_the_context_are_traits() -> None:
    rudder = call(
        "identify",
        context={"traits": {"email": "ada@example.com", "name": "A"}, **LIBRARY},
        traits={"name": "Ada"},
        anonymousId=None,
    )
    data = one(rudder)["data"]
    assert data["traits"] == {"name": "Ada", "email": "ada@example.com"}
    assert data["extra"] == {"context": LIBRARY}


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"name": " Ada "}, {"name": "Ada"}),
        ({"name": 7}, {"custom": {"name": "7"}}),
        ({"country": "x" * 201}, {"custom": {"country": "x" * 201}}),
        ({"birthday": "1990-05-01T00:00:00Z"}, {"birth_year": 1990}),
        ({"birth_year": 1990}, {"birth_year": 1990}),
        ({"birthday": 19900501}, {}),
        ({"birthday": "05/01/1990"}, {}),
        ({"language": "it", "locale": "en"}, {"language": "it"}),
    ],
)
def test_a_trait_is_taken_where_the_catalogue_has_a_place_for_it(
    traits: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = one(call("identify", traits=traits))["data"]["traits"]
    if "custom" not in expected:
        found.pop("custom", None)
    assert found == expected


def test_identify_without_traits_links_or_says_that_he_is_there() -> None:
    linked = one(call("identify", anonymousId="a-9", context=LIBRARY))
    assert linked["type"] == "customer.linked.v1"
    assert linked["data"]["extra"]["context"] == LIBRARY
    assert one(call("identify"))["data"] == {"traits": {}}
    unknown = one(call("identify", userId=None, anonymousId="a-9", traits={"email": "a@b.example"}))
    assert unknown["subject"] == "anonymous:a-9"


@pytest.mark.parametrize(
    ("ids", "other"),
    [
        ({"previousId": "anon-9"}, "anonymous:anon-9"),
        (
            {"previousId": "98740670-858c-4266-988e-8a1ace0e0638"},
            "anonymous:98740670-858c-4266-988e-8a1ace0e0638",
        ),
        ({"previousId": "old-7"}, "customer:old-7"),
        ({"previousId": 7}, "customer:7"),
        ({"previousId": "visitor", "anonymousId": "visitor"}, "anonymous:visitor"),
        ({"anonymousId": "visitor"}, "anonymous:visitor"),
    ],
)
def test_alias_links_to_the_id_from_before(ids: dict[str, Any], other: str) -> None:
    event = one(call("alias", **ids))
    assert event["type"] == "customer.linked.v1"
    assert event["data"]["other"] == other
    assert event["id"] == "m-1:link"


def test_group_tells_the_company_and_keeps_the_rest() -> None:
    data = one(call("group", groupId="acct-5", traits={"name": "Engines", "plan": "pro"}))["data"]
    assert data["traits"] == {"company": "Engines"}
    assert data["extra"]["call"] == {
        "groupId": "acct-5",
        "traits": {"name": "Engines", "plan": "pro"},
    }
    assert one(call("group", groupId="acct-5"))["data"]["traits"] == {"company": "acct-5"}
    assert one(call("group"))["data"]["name"] == "Joined a Group"


def test_a_page_is_viewed() -> None:
    page = {
        "path": "/p", "url": "https://www.example.com/p", "title": "Pricing",
        "referrer": "https://search.example/?q=x", "search": "?a=1",
    }  # fmt: skip
    browser = call("page", name="Home", category="Docs", properties=page, context={"page": page})
    event = one(browser)
    assert event["type"] == "page.viewed.v1"
    data = event["data"]
    extra = data.pop("extra")
    assert data == {
        "url": "https://www.example.com/p",
        "title": "Pricing",
        "referrer": "https://search.example/?q=x",
        "traffic_source": "search.example",
    }
    assert extra["call"] == {"name": "Home", "category": "Docs"}
    assert extra["search"] == "?a=1"


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        ({"context": {"page": {"url": "https://a.example/"}}}, {"url": "https://a.example/"}),
        ({"properties": {"path": "/p"}}, {"url": "/p"}),
        ({"name": "Python", "category": "Docs"}, {"url": "Python", "title": "Python"}),
        ({"properties": {"url": "https://a.example/", "referrer": "https://www.a.example/b"}},
         {"url": "https://a.example/", "referrer": "https://www.a.example/b"}),
        ({"name": "x", "context": {"campaign": {"source": "spring"}, "sessionId": 17}},
         {"url": "x", "title": "x", "traffic_source": "spring", "session_id": "17"}),
        ({"name": "x", "context": {"campaign": {"source": "s" * 201}}}, {"url": "x", "title": "x"}),
        ({"name": "x", "context": {"page": {"referrer": "http://[broken"}}},
         {"url": "x", "title": "x", "referrer": "http://[broken"}),
    ],
)  # fmt: skip
def test_a_page_is_known_by_what_there_is(sent: Call, data: Call) -> None:
    found = one(call("page", **sent))["data"]
    found.pop("extra", None)
    assert found == data


def test_what_shows_no_address_is_tracked_by_its_name() -> None:
    assert one(call("page"))["data"] == {"name": "Loaded a Page"}
    screen = one(call("screen", name="Home", category="App", properties={"v": 1}))["data"]
    assert (screen["name"], screen["properties"]) == ("Viewed App Home Screen", {"v": 1})
    assert screen["extra"]["call"] == {"name": "Home", "category": "App"}


def test_a_context_of_the_batch_is_that_of_each_call() -> None:
    event = one(call("track", event="x", context={"ip": "1"}), context={"ip": "2", "app": "a"})
    assert event["data"]["extra"]["context"] == {"ip": "1", "app": "a"}


def test_a_name_that_no_touchpoint_can_have_is_kept_beside_one_that_it_can() -> None:
    long = "x" * 300
    data = one(track(long))["data"]
    assert (data["name"], data["extra"]["call"]["event"]) == ("x" * 200, long)
    assert one(track("a\nb"))["data"]["name"] == "a b"
    assert one(track("\x01"))["data"]["name"] == "?"


def test_what_is_no_object_where_one_should_be_is_kept_too() -> None:
    sent = call("track", event="x", properties=[1], context="c", traits="t")
    assert one(sent)["data"]["extra"]["call"] == {"properties": [1], "context": "c", "traits": "t"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
NAMES = (
    st.sampled_from(["properties", "traits", "context", "event", "name", "category", "type"])
    | st.sampled_from(["userId", "anonymousId", "messageId", "groupId", "previousId"])
    | st.sampled_from(["timestamp", "originalTimestamp", "sentAt"])
)
EVENTS = st.sampled_from(["Order Completed", "Order Refunded", "Unsubscribed", "Call Ended", "x"])
PROPERTIES = st.dictionaries(
    st.sampled_from(["order_id", "total", "currency", "products", "email_id", "call_id"]), ANYTHING
)
CALLS = st.builds(
    lambda kind, event, properties, rest: {
        "type": kind, "userId": "1", "event": event, "properties": properties, **rest,
    },
    st.sampled_from(KINDS), EVENTS, PROPERTIES, st.dictionaries(NAMES, ANYTHING, max_size=3),
)  # fmt: skip
"""Calls as no library sends them."""


@settings(max_examples=80)
@given(CALLS | st.dictionaries(st.text(), ANYTHING))
def test_whatever_a_call_is_it_becomes_touchpoints_or_is_refused(sent: Call) -> None:
    delivery = Delivery(
        source="shop", content_key=KEY, received_at=RECEIVED, sent_at=sent.get("sentAt")
    )
    with suppress(Refused):
        found = touchpoints(sent, delivery)
        assert 1 <= len(found) <= 2
        assert len({json.loads(raw)["id"] for raw in found}) == len(found)
        assert found == touchpoints(sent, delivery)


@given(st.text(min_size=1), st.dictionaries(st.text(), SCALARS, max_size=4))
def test_no_property_of_a_tracked_event_is_lost(event: str, properties: Call) -> None:
    with suppress(Refused):
        (raw,) = touchpoints(
            {"type": "track", "userId": "1", "event": event, "timestamp": STAMPED,
             "properties": properties},
            Delivery(source="shop", content_key=KEY, received_at=RECEIVED),
        )  # fmt: skip
        assert json.loads(raw)["data"].get("properties", {}) == properties
