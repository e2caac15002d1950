"""Redeeming over HTTP: points that are there once are spent once, whoever asks how often."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.cli.facts import event, programme
from tests.cli.running import Shell
from tests.web.business import BOBS, GIFT, business, tell
from tests.web.serving import Client, Reply, Running
from web.redeeming import KEY, KEY_CHARACTERS_MAX, REPLAYED

ANA = "/v1/loyalty/customer:42"
THREADS, REQUESTS, POINTS = 10, 100, 100
EARNED = 6
"""Points of an order of which a part was given back."""


@pytest.fixture
def running(ledger: Ledger) -> Iterator[Running]:
    with business(ledger) as (found, _):
        yield found


@pytest.fixture
def till(running: Running) -> Iterator[Client]:
    with running.client("cashier", "till") as client:
        yield client


def redeem(client: Client, key: str, body: Any, path: str = ANA) -> Reply:
    return client.post(f"{path}/redeem", body, {KEY: key})


def test_a_redemption_is_told_as_the_command_tells_it(
    till: Client, running: Running, tmp_path: Path
) -> None:
    reply = redeem(till, "k1", {"points": 100, "reward": "a mug"})
    assert reply.status == 200
    told = reply.json()
    shell = Shell(tmp_path, running.ledger.address)
    printed = shell("--quiet", "loyalty", "redeem", "customer:42", "100", "-o", "json").json
    assert told.keys() | {"again"} == printed.keys()
    assert (told["points"], told["programme"], told["customer"]) == (100, "main", "customer:42")
    assert told["balance"]["active"] == printed["balance"]["active"] + 100
    statement = shell("loyalty", "statement", "customer:42", "-o", "json").json
    spent = [line["position"] for line in statement if line["kind"] == "spent"]
    assert spent == [told["position"], printed["position"]]


def test_a_retry_gets_the_same_answer_whatever_came_in_between(
    till: Client, ledger: Ledger
) -> None:
    first = redeem(till, "k1", {"points": 100})
    gift = {"programme": "second", "adjustment_id": "J2", "points": 7, "reason": "late"}
    tell(
        ledger,
        programme("second"),
        event("points.adjusted.v1", gift, "2026-01-02T10:00:00Z"),
        event("customer.linked.v1", {"other": BOBS}, "2026-01-24T10:00:00Z", subject="customer:9"),
        event("customer.linked.v1", {"other": "customer:42"}, subject="customer:9"),
    )
    redeem(till, "k2", {"points": 1, "programme": "main"})
    again = redeem(till, "k1", {"points": 100})
    assert (again.status, again.body) == (200, first.body)
    assert (REPLAYED.lower() in first.headers, again.headers[REPLAYED.lower()]) == (False, "true")
    assert redeem(till, "k3", {"points": 1}).json()["programmes"] == ["main", "second"]


def test_a_key_is_of_one_request_and_of_one_token(till: Client, running: Running) -> None:
    first = redeem(till, "k1", {"points": 5, "reward": "a pen"}).json()
    for body in ({"points": 6, "reward": "a pen"}, {"points": 5}, {"points": 5, "reward": "x"},
                 {"points": 5, "reward": "a pen", "programme": "main"}):  # fmt: skip
        other = redeem(till, "k1", body)
        assert (other.status, other.json()["code"]) == (422, "idempotency_key_taken"), body
    assert redeem(till, "k1", {"points": 5, "reward": "a pen"}, "/v1/loyalty/anonymous:9f").status \
        == 422  # fmt: skip
    with running.client("cashier", "till") as another:
        second = redeem(another, "k1", {"points": 6}).json()
    assert second["position"] > first["position"]
    assert second["redemption_id"] != first["redemption_id"]


def test_what_cannot_be_redeemed_is_refused_with_the_reason(till: Client, ledger: Ledger) -> None:
    head = ledger.log.head()
    lacking = redeem(till, "k1", {"points": 5_000})
    told = lacking.json()
    assert (lacking.status, told["code"], told["reason"]) == (
        409,
        "not_enough_points",
        "not_enough",
    )
    assert (told["asked"], told["active"]) == (5_000, GIFT + EARNED)
    wrong: tuple[tuple[str, Any, int], ...] = (
        ("", {"points": 1}, 400), ("k" * (KEY_CHARACTERS_MAX + 1), {"points": 1}, 400),
        ("k", {}, 400), ("k", {"points": 0}, 400), ("k", {"points": "1"}, 400),
        ("k", {"points": 1.5}, 400), ("k", {"points": 1, "to": "me"}, 400),
        ("k", {"points": 10**16}, 400), ("k", {"points": 1, "reward": "a\tb"}, 400),
        ("k", {"points": 1, "programme": "a\x00"}, 400), ("k", b"{", 400), ("k", b"\xff", 400),
        ("k", b"[" * 100_000, 400), ("k", {"points": 1, "programme": "none"}, 404),
        ("k", b" " * 600_000, 413),
    )  # fmt: skip
    for key, body, status in wrong:
        assert redeem(till, key, body).status == status, (key[:9], str(body)[:40])
    assert redeem(till, "k", {"points": 1}, "/v1/loyalty/customer:none").status == 404
    assert redeem(till, "k", {"points": 1}, "/v1/loyalty/nobody").status == 400
    assert ledger.log.head() == head
    assert redeem(till, "k1", {"points": 1}).status == 200  # what was refused has used up no key


def test_who_only_reports_spends_nothing_and_learns_nothing(
    running: Running, ledger: Ledger
) -> None:
    """The secret of an emitter may stand in a page that anybody reads."""
    head = ledger.log.head()
    with running.client("emitter", "shop") as page:
        answers = {
            (reply.status, reply.body)
            for path in (ANA, "/v1/loyalty/customer:none", "/v1/loyalty/nobody")
            for key, body in (("k", {"points": 1}), ("", {"points": 10**9}), ("k", b"{"))
            for reply in [redeem(page, key, body, path)]
        }
    ((status, said),) = answers
    assert status == 403
    assert b"spend points" in said
    assert b"cashier or operator" in said
    assert ledger.log.head() == head


def test_a_wrong_body_is_told_which_field_is_to_be_what(till: Client) -> None:
    number, text = "expected a whole number from 1 to", "expected a text of 1 to"
    fields = "expected an object with no other fields than points, programme, reward"
    for body, path, said in (
        ({}, "points", number), ({"points": "1"}, "points", number),
        ({"points": 0}, "points", number), ({"points": 10**16}, "points", number),
        ({"points": 1, "programme": ""}, "programme", text),
        ({"points": 1, "reward": 5}, "reward", text),
        ({"points": 1, "to - at `$.points": 1}, "body", fields), ([], "body", fields),
    ):  # fmt: skip
        told = redeem(till, "k", body).json()
        assert told["path"] == path, body
        assert told["message"].startswith(f"{path}: {said}"), body


def test_a_hundred_requests_at_once_spend_what_is_there_and_no_more(running: Running) -> None:
    """FAULTS 23, over HTTP: with names of their own, and with one name."""
    secret = running.secret("cashier", "till")
    with ExitStack() as kept, ThreadPoolExecutor(THREADS) as threads:
        clients = [kept.enter_context(running.client(secret=secret)) for _ in range(THREADS)]

        def spend(number: int, keys: str) -> list[Reply]:
            return [
                redeem(clients[number], keys.format(f"{number}-{each}"), {"points": POINTS})
                for each in range(REQUESTS // THREADS)
            ]

        def all_at_once(keys: str) -> list[Reply]:
            done = threads.map(spend, range(THREADS), [keys] * THREADS)
            return [reply for replies in done for reply in replies]

        one_name = all_at_once("the same")
        assert {reply.status for reply in one_name} == {200}
        assert len({reply.body for reply in one_name}) == 1
        names = all_at_once("{}")
    granted = [reply.json() for reply in names if reply.status == 200]
    assert len(granted) == (GIFT + EARNED) // POINTS - 1
    assert {reply.json()["code"] for reply in names if reply.status != 200} == {"not_enough_points"}
    assert sorted(one["balance"]["active"] for one in granted)[0] == EARNED
