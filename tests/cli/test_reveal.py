"""Masks and looks: windows show nothing personal unasked, and every look is on record first."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.revealing import sight_of
from cli.session import Session
from ledger.errors import Unreachable
from projections.windows.sight import read_stored
from tests.cli.facts import described, event, order, programme, record, ticket
from tests.cli.running import Ran, Shell
from tests.places import plain_connection

NAME, TITLE, BOB = "Ana Rossi", "A broken lid", "bob@example.com"
CLEAR = (NAME, TITLE, BOB, "It fell")
BOBS = f"email:{BOB}"
DENIED = 9

WINDOWS = (
    ("customer", "list"),
    ("customer", "show", "customer:42"),
    ("customer", "timeline", "customer:42"),
    ("customer", "show", BOBS),
    ("ticket", "list"),
    ("ticket", "show", "T1"),
    ("ticket", "history", "T1"),
    ("loyalty", "balance", BOBS),
    ("log", "list"),
    ("log", "show", "d1"),
    ("log", "tail", "-n", "100"),
    ("log", "export"),
    ("customer", "explain", "customer:42"),
    ("customer", "diff", "customer:42", "--from", "2026-01-01"),
    ("ticket", "explain", "T1"),
    ("loyalty", "explain", BOBS),
)
UNASKED = (
    *WINDOWS,
    ("customer", "timeline", BOBS),
    ("customer", "list", "--find", BOB),
    ("customer", "looks", "customer:42"),
    ("customer", "looks", BOBS),
    ("loyalty", "statement", BOBS),
    ("quarantine", "list"),
    ("quarantine", "show", "1"),
    ("projection", "list"),
    ("doctor",),
)


@pytest.fixture
def busy(shell: Shell) -> Shell:
    """A customer with a name and a ticket, one known by his address alone, a broken line."""
    text: dict[str, Any] = {"author": "customer", "public": True, "text": "It fell"}
    record(
        shell,
        programme(),
        described(name=NAME, email="ana@example.com", company="Rossi") | {"id": "d1"},
        ticket("opened", "T1", "2026-02-07T10:00:00Z", title=TITLE),
        ticket("commented", "T1", "2026-02-07T11:00:00Z", **text),
        order("A1", "100.00", "2026-01-05T10:00:00Z", subject=BOBS),
    )
    assert shell("append", stdin=b'{"name": "Ana Rossi"').code == 3
    return shell


def looks(shell: Shell, subject: str = "customer:42") -> list[dict[str, object]]:
    ran = shell("customer", "looks", subject, "-o", "json")
    assert ran.code == 0, ran.err
    found: list[dict[str, object]] = ran.json
    return found


def head(shell: Shell) -> int:
    position: int = shell("log", "tail", "-n", "1").json["position"]
    return position


def test_no_window_shows_anything_personal_unasked(busy: Shell) -> None:
    before = head(busy)
    for arguments in UNASKED:
        for form in ("table", "json"):
            ran = busy(*arguments, "-o", form, "-q")
            assert ran.code in (0, 1), ran.err
            assert not [text for text in CLEAR if text in ran.out + ran.err], arguments
    assert head(busy) == before


def test_masks_say_that_there_is_something(busy: Shell) -> None:
    shown = busy("customer", "show", "customer:42").json
    assert shown["traits"]["name"]["value"] == "[personal]"
    assert shown["traits"]["company"]["value"] == "Rossi"
    assert busy("ticket", "show", "T1").json["title"]["value"] == "[personal]"
    told = busy("customer", "timeline", "customer:42", "-o", "json").json
    assert "[personal]" in told[-1]["summary"]
    assert busy("log", "show", "d1").json["data"]["traits"]["email"] == "[personal]"


def test_a_masked_subject_can_be_asked_for(busy: Shell) -> None:
    masked = [entry["customer"] for entry in busy("customer", "list", "-o", "json").json][1]
    assert masked.startswith("email:~")
    assert busy("customer", "show", masked).json["customer"] == masked
    assert busy("customer", "timeline", masked).json["subject"] == masked
    assert busy("log", "list", "--subject", masked).json["subject"] == masked


def test_a_list_without_a_purpose_needs_no_key(
    busy: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_: object, subjects: object) -> None:
        raise AssertionError(f"keys were asked for: {subjects}")

    monkeypatch.setattr("ledger.keyring.Keyring.find", asked)
    monkeypatch.setattr("ledger.personal.Vault.quarantine_key", lambda _: bytes(32))
    assert busy("customer", "list").code == 0
    assert busy("ticket", "list").code == 0


def test_a_look_is_on_record_once_for_each_person_and_command(busy: Shell) -> None:
    for number, arguments in enumerate(WINDOWS):
        purpose = f"claim {number}"
        ran = busy(*arguments, "--reveal", purpose)
        assert ran.code == 0
        found = [looks(busy), looks(busy, BOBS)]
        ana, bob = ([x for x in each if x["purpose"] == purpose] for each in found)
        assert [len(ana), len(bob)] == [
            any(text in ran.out for text in (NAME, TITLE, "It fell")), BOB in ran.out,
        ], arguments  # fmt: skip
        assert ana or bob


def test_a_look_says_who_saw_which_fields(busy: Shell) -> None:
    token = busy("token", "create", "--role", "auditor", "--source", "*", "--name", "eva").json
    busy("customer", "show", "customer:42", "--reveal", "an audit", "--token", token["token"])
    busy("ticket", "show", "T1", "--reveal", "a claim")
    first, second = looks(busy)
    assert first["fields"] == ["traits.email", "traits.name"]
    assert (first["reader"], first["purpose"]) == ("eva", "an audit")
    assert (second["fields"], second["reader"] != "eva") == (["title"], True)
    page = busy("customer", "looks", "customer:42", "-o", "table").out
    assert "traits.email, traits.name" in page
    assert looks(busy, BOBS) == []


def test_what_a_command_shows_again_is_no_new_look(busy: Shell) -> None:
    session = Session(busy.url, Path(busy.keys) if busy.keys else None, quiet=True)
    with session.ledger() as ledger:
        sight, shown = sight_of(session, ledger, "watching"), read_stored(ledger.log.last(10))
        for part in (shown[:2], shown, shown):
            sight.on_record(sight.told(part))
    assert [look["fields"] for look in looks(busy)] == [["traits.email", "traits.name"],
                                                        ["text", "title"]]  # fmt: skip
    assert len(looks(busy, BOBS)) == 1


def test_the_views_stay_up_to_date_and_count_no_look(busy: Shell) -> None:
    before = busy("customer", "show", "customer:42").json
    assert busy("customer", "show", "customer:42", "--reveal", "a claim").err == ""
    ran = busy("customer", "show", "customer:42")
    assert (ran.json, ran.err) == (before, "")
    assert len(busy("customer", "list", "-o", "json").json) == 2
    assert busy("projection", "verify", "--all").code == 0


def test_views_that_were_left_behind_are_left_there(busy: Shell) -> None:
    later = json.dumps(order("A9", "1.00", "2026-03-01T10:00:00Z")).encode()
    busy("append", "--no-follow", stdin=later)
    busy("customer", "show", "customer:42", "--reveal", "a claim")
    assert {view["lag"] for view in busy("projection", "list", "-o", "json").json} == {2}


def test_where_the_look_cannot_be_recorded_nothing_is_shown(
    busy: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise Unreachable("the server is gone")

    monkeypatch.setattr("ledger.log.Log.append", lost)
    for arguments in (*WINDOWS, ("quarantine", "show", "1", "--bytes")):
        for form in ("table", "json"):
            ran = busy(*arguments, "--reveal", "a claim", "-o", form)
            assert (ran.code, ran.out) == (7, ""), arguments


def test_quarantine_shows_what_was_received_to_those_who_say_why(busy: Shell) -> None:
    refused = busy("quarantine", "show", "1", "--bytes")
    assert (refused.code, refused.out, "--reveal" in refused.err) == (2, "", True)
    shown = busy("quarantine", "show", "1", "--bytes", "--reveal", "mending")
    assert shown.out == '{"name": "Ana Rossi"\n'
    look = busy("log", "list", "--type", "personal_data.viewed.v1").json["data"]
    assert look == {"of": "quarantine:1", "fields": ["bytes"], "purpose": "mending"}
    assert busy("quarantine", "show", "1", "--headers", "--reveal", "mending").code == 0
    assert busy("quarantine", "show", "1", "--reveal", "mending").code == 2
    assert busy("quarantine", "show", "9", "--bytes", "--reveal", "mending").code == 4


def test_a_purpose_is_said_in_words(busy: Shell) -> None:
    for nothing in ("", "  ", "a\nb", "x" * 501):
        assert busy("customer", "list", "--reveal", nothing).code == 2


def _by(shell: Shell, role: str) -> Callable[..., Ran]:
    secret = shell("token", "create", "--role", role, "--source", "*").json["token"]
    return lambda *arguments: shell("--token", secret, *arguments)


def test_who_may_not_see_is_denied_and_no_look_is_on_record(busy: Shell) -> None:
    analyst, operator = _by(busy, "analyst"), _by(busy, "operator")
    before = head(busy)
    for arguments in WINDOWS[:8]:
        ran = analyst(*arguments, "--reveal", "curious")
        assert (ran.code, ran.out) == (DENIED, "")
        assert "auditor or privacy_officer" in ran.err
    ran = operator("quarantine", "show", "1", "--bytes", "--reveal", "curious")
    assert (ran.code, ran.out) == (DENIED, "")
    assert head(busy) == before


def test_an_export_without_personal_data_says_what_else_there_is(busy: Shell) -> None:
    described_, *_ = busy("log", "export", "--type", "customer.described.v1").json["data"].items()
    assert described_ == ("traits", {"company": "Rossi"})
    record(busy, event("chat.started.v1", {"conversation_id": "C"}, subject=BOBS, tenant="it"))
    last = busy("log", "export", "--type", "chat.started.v1").json
    assert "tenant" not in last
    assert last["subject"].startswith("email:~")


def test_what_is_erased_is_no_look(busy: Shell) -> None:
    with plain_connection(busy.address, keys=True) as keys:
        keys.execute("DELETE FROM subject_keys WHERE subject = 'customer:42'")
    for arguments in (WINDOWS[1], WINDOWS[2], WINDOWS[5], ("log", "show", "d1")):
        assert "[erased]" in busy(*arguments, "--reveal", "a claim").out
    assert looks(busy) == []
