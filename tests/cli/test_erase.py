"""`customer erase`: nothing personal can be read any more, and everything else is as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.intake import prepared
from ledger.keyring import Keyring
from ledger.ledger import open_ledger
from ledger.quarantine import Received
from projections import generations
from tests.cli.facts import IN_CLEAR, described, event, order, programme, record, ticket
from tests.cli.running import Ran, Shell
from tests.places import contents

CANARIES = [f"qzcanary{number:02}x" for number in range(50)]
WHY = ("--reason", "request 7")
KEPT = ("touchpoints", "channels", "orders", "tickets", "loyalty", "first_seen", "last_seen")


def canary_facts() -> list[dict[str, Any]]:
    """One customer, of whom fifty things are told that nobody else may know."""
    told = iter(CANARIES)
    facts = [
        programme(),
        order("A", "100.00", "2026-01-05T10:00:00Z"),
        described(name=next(told), email=f"{next(told)}@example.com", phone="+39055123456"),
        event("customer.linked.v1", {"other": f"email:{next(told)}@example.com"}),
        ticket("opened", "T1", "2026-01-06T10:00:00Z", title=next(told)),
        ticket("status_changed", "T1", "2026-01-07T10:00:00Z", status="solved"),
    ]
    facts += [
        event(
            "email.received.v1", {"message_id": f"m{n}", "body": next(told)},
            f"2026-02-{n:02}T10:00:00Z",
        )
        for n in range(1, 20)
    ]  # fmt: skip
    facts += [
        event("chat.message_posted.v1", {
            "conversation_id": "c", "message_id": f"c{n}", "author": "customer", "text": word,
        }, f"2026-03-{n:02}T10:00:00Z")
        for n, word in enumerate(told, 1)
    ]  # fmt: skip
    return facts


@pytest.fixture
def told(shell: Shell) -> Shell:
    record(shell, *canary_facts())
    return shell


def erase(shell: Shell, *options: str, subject: str = "customer:42") -> Ran:
    return shell("customer", "erase", subject, "--confirm", subject, *WHY, *options, "-o", "json")


def counts(shell: Shell) -> dict[str, Any]:
    shown = shell("customer", "show", "customer:42", "-o", "json").json
    return {name: shown[name] for name in KEPT}


def everything_shown(shell: Shell) -> str:
    """What windows show to somebody who may see everything."""
    ways = (
        ("customer", "list"), ("customer", "show", "customer:42"),
        ("customer", "timeline", "customer:42"), ("log", "list"), ("log", "export"),
        ("ticket", "show", "T1"), ("ticket", "history", "T1"), ("ticket", "list"),
    )  # fmt: skip
    return "".join(shell(*way, *IN_CLEAR).out for way in ways)


def test_fifty_secrets_are_nowhere_and_every_count_is_as_it_was(told: Shell) -> None:
    shown = everything_shown(told)
    assert all(canary in shown for canary in CANARIES)
    before = counts(told)
    ran = erase(told)
    assert ran.code == 0, ran.err
    assert ran.json["unchanged"]
    assert ran.json["purged"]["personal_values"] >= 50
    assert counts(told) == before == ran.json["remains"]
    shown = everything_shown(told)
    assert "[erased]" in shown
    for name, content in [("windows", shown.encode()), *contents(told.address)]:
        found = [canary for canary in CANARIES if canary.encode() in content.lower()]
        assert not found, (name, found)


def test_views_are_the_same_when_they_are_rebuilt_afterwards(told: Shell) -> None:
    erase(told)
    live = told("customer", "show", "customer:42", "-o", "json").out
    assert told("projection", "rebuild", "--all").code == 0
    assert told("customer", "show", "customer:42", "-o", "json").out == live
    verified = told("projection", "verify", "--all", "-o", "json").json
    assert {found["differences"] for found in verified} == {0}


def test_nobody_finds_the_person_by_address_any_more(told: Shell) -> None:
    address = f"{CANARIES[1]}@example.com"
    assert told("customer", "list", "--find", address, "-o", "json").json
    erase(told)
    assert told("customer", "list", "--find", address, "-o", "json").json == []
    with open_ledger(told.address) as ledger, ledger.store.cursor() as cursor:
        rows = cursor.execute("SELECT subject FROM search_tokens").fetchall()
        token = ledger.vault.stored_subject(f"email:{address}")
        ties = cursor.execute("SELECT 1 FROM ties WHERE subject = ?", (token,)).fetchall()
    assert rows == ties == []


def test_what_comes_later_is_recorded_without_anything_personal(told: Shell) -> None:
    erase(told)
    later = event("email.received.v1", {"message_id": "new", "body": "qzlater"}, id="later")
    assert record(told, later).json["recorded"] == 1
    assert record(told, later).json["duplicate"] == 1
    clear = told("log", "show", "later", *IN_CLEAR, "-o", "json")
    assert "qzlater" not in clear.out
    assert "[erased]" in clear.out
    assert not any(b"qzlater" in content for _, content in contents(told.address))


def test_what_was_sent_before_is_a_duplicate_and_no_conflict(told: Shell) -> None:
    facts = canary_facts()
    sent = event("note.added.v1", {"note_id": "n", "text": "qz", "agent": "a", "internal": True})
    record(told, sent)
    erase(told)
    assert record(told, sent).json["duplicate"] == 1
    assert len(facts) > 20


def test_what_overtakes_an_erasure_on_its_way_into_the_log_is_redacted_there(told: Shell) -> None:
    late = event("email.received.v1", {"message_id": "late", "body": "qzovertaken"}, id="late")
    with open_ledger(told.address) as ledger:
        (submission,) = prepared(ledger, [(Received(json.dumps(late).encode(), "append"), None)])
        erase(told)
        assert ledger.log.append([submission]).receipt.recorded == 1
    clear = told("log", "show", "late", *IN_CLEAR, "-o", "json")
    assert "qzovertaken" not in clear.out
    assert "[erased]" in clear.out


def test_an_erasure_that_ends_before_the_keys_are_gone_is_finished_by_whoever_comes_next(
    told: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "destroy", broken)
        assert erase(told).code != 0
    shown = everything_shown(told)
    assert not any(canary in shown for canary in CANARIES)
    again = erase(told)
    assert again.code == 6
    assert "was erased before, by certificate erasure-" in again.err


def test_who_was_one_by_an_equal_address_stays_one(shell: Shell) -> None:
    rules = {
        "version": 1, "valid_from": "2025-01-01T00:00:00Z", "link_kinds": ["customer"],
        "blocked_values": [], "at_most": {},
    }  # fmt: skip
    record(
        shell,
        event("identity.rules_published.v1", rules, subject="rules:identity"),
        order("A", "10.00", "2026-01-05T10:00:00Z", subject="customer:1"),
        order("B", "20.00", "2026-01-06T10:00:00Z", subject="customer:42"),
        described(subject="customer:1", email="ana@example.com"),
        described(subject="customer:42", email="ana@example.com"),
    )
    before = counts(shell)
    ran = erase(shell)
    assert ran.json["links_fixed"] == 1
    assert ran.json["subjects"] == ["customer:1", "customer:42"]
    assert counts(shell) == before
    assert shell("projection", "rebuild", "--all").code == 0
    assert counts(shell) == before
    (first, second) = shell("customer", "identities", "customer:1", "-o", "json").json
    assert {join["by"] for join in (*first["joined_by"], *second["joined_by"])} == {"merge"}


def test_what_waits_in_quarantine_goes_with_the_person_and_other_things_stay(told: Shell) -> None:
    mine = json.dumps(event("nothing.known.v1", {"name": CANARIES[0]}, subject="shop:1"))
    other = json.dumps(event("nothing.known.v1", {"name": "somebody else"}, subject="shop:2"))
    told("append", "-", stdin=f"{mine}\n{other}\n".encode())
    assert erase(told).json["purged"]["quarantine_entries"] == 1
    states = [e["status"] for e in told("quarantine", "list", "--status", "any", "-o", "json").json]
    assert sorted(states) == ["discarded", "waiting"]


def test_the_person_is_named_twice_or_nothing_is_erased(told: Shell) -> None:
    assert told("customer", "erase", "customer:42", *WHY).code == 2
    assert told("customer", "erase", "customer:42", "--confirm", "customer:4", *WHY).code == 2
    assert erase(told, subject="customer:nobody").code == 4
    plan = told("customer", "erase", "customer:42", *WHY, "--dry-run", "-o", "json").json
    assert plan["personal_values"] >= 50
    assert CANARIES[0] in everything_shown(told)


def test_the_certificate_reads_well(told: Shell) -> None:
    ran = told("customer", "erase", "customer:42", "--confirm", "customer:42", *WHY, "-o", "table")
    assert ran.code == 0, ran.err
    assert "CERTIFICATE OF ERASURE" in ran.out
    assert "request 7" in ran.out
    assert "delete it now" in " ".join(ran.out.split())


def test_a_backup_of_the_log_alone_brings_nobody_back(told: Shell, tmp_path: Path) -> None:
    """A copy of the log and of all views from before, restored without the keys of then."""
    copy = tmp_path / "before.backup"
    assert told("backup", str(copy)).code == 0
    erase(told)
    keys = tmp_path / "keys.backup"
    assert told("backup", str(tmp_path / "after.backup"), "--keys", str(keys)).code == 0
    there = Shell(tmp_path)
    there.url = f"sqlite:///{tmp_path / 'restored.db'}"
    assert there("restore", str(copy), "--keys", str(keys)).code == 0
    assert there("projection", "run").code == 0
    shown = everything_shown(there)
    assert "[erased]" in shown
    assert not any(canary in shown for canary in CANARIES)


def test_erasing_one_rebuilds_nothing(told: Shell) -> None:
    """FIELD.md 2.3, row 12: elsewhere a deletion takes a full refresh."""
    before = told("projection", "list", "-o", "json").json
    erase(told)
    with open_ledger(told.address) as ledger, ledger.store.cursor() as cursor:
        tables = [generations.live(view["name"], cursor) for view in before]
    assert {table.number for table in tables if table} == {1}
