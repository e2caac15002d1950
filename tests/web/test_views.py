"""The views over HTTP: the records of the commands, masked, page by page, for those who may."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ledger.erasure import erase, plan_erasure
from ledger.ledger import Ledger, open_ledger
from ledger.looks import looks_at
from projections.windows.sight import PURPOSE_CHARACTERS_MAX
from tests.cli.facts import order
from tests.cli.running import Shell
from tests.ledger.sending import send
from tests.web.business import BOB, BOBS, CLEAR, NAME, business, tell
from tests.web.serving import Client, Reply
from web import boards
from web.answering import LAG
from web.asking import REVEAL

ANA, BOB_PATH, T2 = "/v1/customers/customer:42", f"/v1/customers/{BOBS}", "/v1/tickets/T%2F2"
SAME: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/v1/customers", ("customer", "list")),
    (f"/v1/customers?find={BOB}", ("customer", "list", "--find", BOB)),
    (ANA, ("customer", "show", "customer:42")),
    ("/v1/customers/anonymous:9f", ("customer", "show", "anonymous:9f")),
    (BOB_PATH, ("customer", "show", BOBS)),
    (f"{ANA}/timeline", ("customer", "timeline", "customer:42")),
    (f"{ANA}/timeline?channel=ticket&channel=purchase&since=2026-01-06&until=2026-02-07",
     ("customer", "timeline", "customer:42", "--channel", "ticket", "--channel", "purchase",
      "--since", "2026-01-06", "--until", "2026-02-07")),
    (f"{ANA}/timeline?type=order.refunded.v1",
     ("customer", "timeline", "customer:42", "--type", "order.refunded.v1")),
    (f"{ANA}/identities", ("customer", "identities", "customer:42")),
    (f"{ANA}/consents", ("consent", "show", "customer:42")),
    (f"{ANA}/consents/check?channel=email&purpose=marketing",
     ("consent", "check", "customer:42", "--channel", "email", "--purpose", "marketing")),
    ("/v1/customers/customer:none/consents/check?channel=sms&purpose=service",
     ("consent", "check", "customer:none", "--channel", "sms", "--purpose", "service")),
    ("/v1/tickets", ("ticket", "list")),
    ("/v1/tickets?status=solved&priority=urgent&customer=customer:42",
     ("ticket", "list", "--status", "solved", "--priority", "urgent",
      "--customer", "customer:42")),
    ("/v1/tickets?open=true&assignee=eva", ("ticket", "list", "--open", "--assignee", "eva")),
    ("/v1/tickets/T1/history", ("ticket", "history", "T1")),
    ("/v1/loyalty/customer:42", ("loyalty", "balance", "customer:42")),
    ("/v1/loyalty/customer:42/statement?since=2026-01-10",
     ("loyalty", "statement", "customer:42", "--since", "2026-01-10")),
)  # fmt: skip
"""What gives the same records by HTTP and by the command line."""
AS_OF = "as_of=2026-02-07T12:30&known_at=now&tz=Europe/Rome"
AS_OF_OPTIONS = ("--as-of", "2026-02-07T12:30", "--known-at", "now")
CUT = (*SAME[:6], *SAME[12:13], *SAME[15:], (T2, ()), ("/v1/tickets/T1", ("ticket", "show", "T1")))
"""The same as of another moment; a ticket that was not there yet is not there."""


@pytest.fixture
def ana(ledger: Ledger) -> Iterator[Client]:
    """A reader of a small business."""
    with business(ledger) as (_, client):
        yield client


def records(reply: Reply) -> Any:
    """What an answer holds: one record, or those of a page that is the last."""
    assert reply.status == 200, reply.body
    found = reply.json()
    assert found.get("next") is None
    return found.get("items", found)


def printed(shell: Shell, *command: str) -> Any:
    """What a command prints, whose exit code 9 says that a consent is not there."""
    ran = shell("--quiet", *command, "-o", "json")
    assert ran.code in (0, 9), ran.err
    return ran.json


def test_the_records_are_those_of_the_commands(ana: Client, ledger: Ledger, tmp_path: Path) -> None:
    shell = Shell(tmp_path, ledger.address)
    for path, command in SAME:
        assert records(ana.get(path)) == printed(shell, *command), path
    for path, command in CUT:
        reply = ana.get(f"{path}{'&' if '?' in path else '?'}{AS_OF}")
        if path == T2:
            assert (reply.status, reply.json()["code"]) == (404, "unknown_ticket")
            continue
        shown = printed(shell, "--tz", "Europe/Rome", *command, *AS_OF_OPTIONS)
        assert records(reply) == shown, path


def test_masks_fall_for_those_who_may_and_say_why(ledger: Ledger) -> None:
    with business(ledger, "auditor") as (running, auditor):
        for path, _ in SAME:
            body = auditor.get(path).body.decode()
            assert not [text for text in CLEAR if text in body], path
        head = ledger.log.head().position
        with running.client("analyst", "*") as analyst:
            denied = analyst.get(ANA, {REVEAL: "curious"})
            assert (denied.status, denied.json()["code"]) == (403, "no_right")
        for none in (" ", "a\tb", "x" * (PURPOSE_CHARACTERS_MAX + 1), "\xff"):
            assert auditor.get(ANA, {REVEAL: none}).status == 400
        assert ledger.log.head().position == head

        why = {REVEAL: "a cl\u00e1im".encode().decode("latin-1")}
        shown = auditor.get(ANA, why).json()
        assert shown["traits"]["name"]["value"] == NAME
        (look,) = looks_at(ledger, ["customer:42"])
        assert (look.purpose, look.fields) == ("a cl\u00e1im", ("traits.email", "traits.name"))
        assert BOB in auditor.get(T2, why).body.decode()
        assert NAME in auditor.get(f"{ANA}/timeline", why).body.decode()
        assert NAME in auditor.get("/v1/customers", why).body.decode()


def test_a_server_that_has_read_a_key_shows_nothing_of_whom_another_erased(ledger: Ledger) -> None:
    why = {REVEAL: "an audit"}
    paths = (ANA, f"{ANA}/timeline", "/v1/customers", "/v1/tickets/T1", "/v1/tickets")
    with business(ledger, "auditor") as (_, auditor):
        assert all(
            any(text in auditor.get(path, why).body.decode() for text in CLEAR) for path in paths
        )
        with open_ledger(ledger.address) as other:
            erase(other, plan_erasure(other, "customer:42"), "asked to be", "erasure-1")
        for path in paths:
            body = auditor.get(path, why).body.decode()
            assert "[erased]" in body, path
            assert not [text for text in CLEAR if text in body and text != BOB]


def pages(client: Client, path: str, limit: int) -> Iterator[list[Any]]:
    """All pages of a list."""
    cursor = ""
    while True:
        reply = client.get(f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        assert reply.status == 200, reply.body
        page = reply.json()
        assert len(page["items"]) <= limit
        yield page["items"]
        if page["next"] is None:
            return
        cursor = f"&cursor={quote(page['next'])}"


def test_paging_gives_each_touchpoint_once_while_new_ones_arrive(
    ana: Client, ledger: Ledger
) -> None:
    before = [item["id"] for item in records(ana.get(f"{ANA}/timeline"))]
    found: list[str] = []
    for number, page in enumerate(pages(ana, f"{ANA}/timeline", 2)):
        found += [item["id"] for item in page]
        if number < 3:  # before what is shown already, at its time, and behind everything
            arriving = (
                ("2025-01-01T00:00:00Z", f"early{number}"),
                (page[-1]["time"], f"!same{number}"),
                ("2026-03-01T00:00:00Z", f"late{number}"),
            )
            tell(ledger, *(order(id_, "1.00", at, id=id_) for at, id_ in arriving))
    assert len(found) == len(set(found))
    assert [id_ for id_ in found if id_ in before] == before
    assert [id_ for id_ in found if id_ not in before] == ["late0", "late1", "late2"]


def test_other_lists_are_paged_too(ana: Client) -> None:
    for path, name in (
        ("/v1/customers", "customer"), ("/v1/tickets", "ticket"), ("/v1/tickets/T1/history", "id"),
        (f"/v1/customers?{AS_OF}", "customer"), (f"{ANA}/timeline?channel=ticket", "id"),
    ):  # fmt: skip
        whole = [item[name] for item in records(ana.get(path))]
        assert [item[name] for page in pages(ana, path, 1) for item in page] == whole, path
        assert len(whole) > 1


INJECTIONS = (
    "' OR '1'='1", "customer:42'; DROP TABLE stored_events;--", 'x" OR 1=1 --', "customer:42\\'",
    "customer:%", "customer:42/**/UNION/**/SELECT", "{}", "%s%(a)s", "$1", "?", "a:b\x00c", ":",
    "customer:", "email:nobody", "phone:12", "../../etc/passwd", "customer:42\n", "\u202ea:b",
    "ledger:quarantine", "x" * 5_000,
)  # fmt: skip


SHORT = 10
"""Texts that may stand in an answer as words of its own."""


def test_strange_values_are_taken_literally_or_refused(ana: Client, ledger: Ledger) -> None:
    """FAULTS 14: nothing of a request is anything but a value."""
    head = ledger.log.head()
    for text in INJECTIONS:
        value = quote(text, safe="")
        for path in (
            f"/v1/customers/{value}", f"/v1/customers/{value}/timeline", f"/v1/tickets/{value}",
            f"/v1/customers/{value}/consents", f"/v1/tickets/{value}/history",
            f"/v1/loyalty/{value}/statement", f"/v1/tickets?customer={value}",
            *(f"{ANA}/timeline?{name}={value}" for name in (
                "cursor", "type", "channel", "since", "as_of", "known_at", "tz", "limit", "sort")),
            f"/v1/loyalty/customer:42?programme={value}", f"/v1/customers?cursor={value}",
            f"/v1/customers/customer:42?{value}=1",
        ):  # fmt: skip
            reply = ana.get(path)
            assert reply.status in (400, 404), (path, reply.status, reply.body)
            assert reply.headers["content-type"] == "application/problem+json"
            assert len(text) < SHORT or text.encode() not in reply.body, path
        if text.isprintable():
            assert records(ana.get(f"/v1/tickets?assignee={value}")) == []
    assert ledger.log.head() == head


def test_the_plus_of_an_offset_may_come_as_the_blank_that_it_is_in_a_query(ana: Client) -> None:
    for moment in ("2026-02-07T10:30:00", "2026-02-07T10:30", "2026-02-07 10:30:00.5"):
        whole = quote(f"{moment}+01:00")
        for name in ("as_of", "until"):
            right = ana.get(f"{ANA}/timeline?{name}={whole}").json()
            lost = whole.replace("%2B", "+")
            assert ana.get(f"{ANA}/timeline?{name}={lost}").json() == right, lost
            later = ana.get(f"{ANA}/timeline?{name}={whole.replace('%2B01', '-01')}").json()
            assert later != right
    for moment in ("2026-02-07+12:30", "2026-02-07T12:30"):  # a blank between day and time is one
        assert ana.get(f"{ANA}/timeline?as_of={moment}").status == 200


WRONG = (
    ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=%2B5", "limit"), ("limit=", "limit"),
    ("limit=1&limit=2", "limit"), ("cursor=WzFd", "cursor"), ("as_of=soon", "as_of"),
    ("as_of=99999-01-01", "as_of"), ("tz=Mars", "tz"), ("known_at=-999999mo", "known_at"),
)  # fmt: skip


def test_a_wrong_parameter_is_named_and_not_quoted(ana: Client) -> None:
    for given, name in WRONG:
        reply = ana.get(f"{ANA}/timeline?{given}")
        assert (reply.status, reply.json().get("path")) == (400, name), given
    for path in ("?open=yes", "?status=done", "?colour=red", "?assignee=%ff", "?customer=%00"):
        assert ana.get(f"/v1/tickets{path}").status == 400, path
    check = f"{ANA}/consents/check"
    for path in (check, f"{check}?channel=email", f"{check}?channel=pigeon&purpose=marketing"):
        assert ana.get(path).status == 400, path
    cursor = ana.get("/v1/tickets?limit=1").json()["next"]
    assert ana.get(f"{ANA}/timeline?cursor={cursor}").status == 400
    assert ana.get("/v1/customers/customer%FF:1").status == 400


def test_roles_see_what_their_commands_show_them(ledger: Ledger) -> None:
    with business(ledger) as (running, analyst):
        check = f"{ANA}/consents/check?channel=email&purpose=marketing"
        with running.client("emitter", "shop") as emitter, running.client(None) as nobody:
            for path in (*(path for path, _ in SAME if "check" not in path), "/v1/tickets/T1"):
                assert emitter.get(path).status == 403, path
                assert nobody.get(path).status == 401, path
            assert emitter.get(check).json()["state"] == "withdrawn"
            assert nobody.get(check).status == 401
        redeeming = analyst.post("/v1/loyalty/customer:42/redeem", {"points": 1})
        assert redeeming.status == 403


def test_who_is_unknown_is_not_found(ana: Client) -> None:
    for path, code in (
        ("/v1/customers/customer:none", "unknown_customer"),
        ("/v1/customers/email:none@example.com/timeline", "unknown_customer"),
        ("/v1/customers/programme:main", "not_in_views"),
        ("/v1/tickets/none/history", "unknown_ticket"),
        ("/v1/loyalty/customer:42?programme=none", "unknown_programme"),
    ):
        reply = ana.get(path)
        assert (reply.status, reply.json()["code"]) == (404, code)
    assert ana.get("/v1/customers?find=none@example.com").json()["items"] == []


def test_an_answer_of_now_says_how_far_its_view_is_behind(
    ana: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ana.get(ANA).headers[LAG.lower()] == "0"
    send(ledger, order("L1", "1.00", "2026-02-01T10:00:00Z"))
    assert ana.get(ANA).headers[LAG.lower()] == "1"
    assert LAG.lower() not in ana.get(f"{ANA}?as_of=now").headers
    assert LAG.lower() not in ana.get(f"{ANA}/timeline").headers
    monkeypatch.setattr(boards, "FOLD_SECONDS", -1.0)
    assert ana.get("/v1/tickets?as_of=now").json()["code"] == "too_long"
    with boards._folding:
        busy = ana.get("/v1/tickets?as_of=now")
    assert (busy.status, "retry-after" in busy.headers) == (503, True)
    monkeypatch.undo()
    assert ana.get("/v1/tickets?as_of=now").status == 200
