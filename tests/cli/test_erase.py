"""`customer erase`: nothing personal can be read any more, and everything else is as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.intake import prepared
from ledger.keyring import Keyring
from ledger.ledger import open_ledger
from ledger.quarantine import Received
from ledger.seals.sealing import SEALING
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
    assert again.code == 0, again.err
    assert again.json["again"]


def test_to_erase_again_gives_the_same_certificate_and_purges_what_has_come_since(
    told: Shell,
) -> None:
    first = erase(told).json
    misspelt = json.dumps(event("order.complete.v1", {"name": "qzlater"}))
    told("append", "-", stdin=misspelt.encode())
    again = erase(told).json
    assert (again["certificate_id"], again["again"]) == (first["certificate_id"], True)
    assert again["purged"]["quarantine_entries"] == 1
    facts = told("log", "list", "--type", "person.erased.v1", "-o", "json").json
    assert [fact["subject"] for fact in facts] == first["subjects"]


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
    assert {join["by"] for join in (*first["joined_by"], *second["joined_by"])} >= {"merge"}


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


def test_the_certificate_has_the_seals_before_and_after_and_a_proof_still_holds(
    told: Shell, tmp_path: Path
) -> None:
    (fact,) = told("log", "list", "--type", "customer.described.v1", "-o", "json").json
    assert told("audit", "seal").code == 0
    proof = told("audit", "prove", fact["id"], "-o", "json")
    certificate = erase(told).json
    before, after = certificate["seal_before"], certificate["seal_after"]
    assert before["size"] < certificate["position"] <= after["size"]
    heads = [
        told.write(name, json.dumps(head).encode())
        for name, head in (("before.json", before), ("after.json", after))
    ]
    verified = told("audit", "verify", "--head", heads[0], "--head", heads[1], "-o", "json")
    assert (verified.code, verified.json["ok"]) == (0, True)
    way = told("audit", "consistency", "--from", heads[0], "--to", heads[1], "-o", "json")
    again = told("audit", "prove", fact["id"], "-o", "json")
    assert again.json["leaf"] == proof.json["leaf"]
    for document in (proof, way, again):
        path = told.write("proof.json", document.out.encode())
        assert told("audit", "check", path).code == 0


def test_nobody_is_erased_while_another_process_seals(told: Shell) -> None:
    with open_ledger(told.address) as ledger, ledger.store.exclusively(SEALING):
        assert erase(told).code == 8
    assert erase(told).code == 0


def linked_by_address(shell: Shell, *subjects: str) -> None:
    """Rules by which an equal address joins customers, and subjects of one address."""
    rules = {
        "version": 1, "valid_from": "2025-01-01T00:00:00Z", "link_kinds": ["customer"],
        "blocked_values": [], "at_most": {},
    }  # fmt: skip
    record(
        shell,
        event("identity.rules_published.v1", rules, subject="rules:identity"),
        *(
            described(f"2026-01-0{day}T10:00:00Z", subject=subject, email="ana@example.com")
            for day, subject in enumerate(subjects, 1)
        ),
    )


def persons(shell: Shell, *options: str) -> list[list[str]]:
    found = []
    for subject in ("customer:1", "customer:2", "customer:3"):
        listed = shell("customer", "identities", subject, *options, "-o", "json").json
        found.append([one["subject"] for one in listed])
    return found


def test_erasing_one_neither_joins_nor_parts_others(shell: Shell) -> None:
    """The lead stated the address first and may not link, so that nobody is joined by it."""
    linked_by_address(shell, "lead:7", "customer:1", "customer:2", "customer:3")
    before = persons(shell)
    assert erase(shell, subject="lead:7").code == 0
    assert persons(shell) == before
    verified = shell("projection", "verify", "--all", "-o", "json").json
    assert {found["differences"] for found in verified} == {0}


def test_who_was_one_with_whom_is_answered_as_before_at_every_moment(shell: Shell) -> None:
    linked_by_address(shell, "customer:1", "customer:2", "customer:3")
    head = shell("log", "list", "-n", "1", "-o", "json").json
    moment = shell("log", "list", "-o", "json").json[-1]["recorded_at"]
    before = persons(shell, "--known-at", moment)
    assert head
    assert before == [["customer:1", "customer:2", "customer:3"]] * 3
    assert erase(shell, subject="customer:2").code == 0
    assert persons(shell, "--known-at", moment) == before
    assert persons(shell) == before


def test_a_person_of_whom_a_part_is_erased_is_erased_whole(shell: Shell) -> None:
    record(shell, described(subject="customer:1", name="qzfirst"))
    record(shell, described(subject="customer:2", name="qzsecond"))
    erase(shell, subject="customer:1")
    assert shell("customer", "merge", "customer:1", "customer:2", *WHY).code == 0
    ran = erase(shell, subject="customer:2")
    assert ran.code == 0, ran.err
    assert (ran.json["again"], ran.json["purged"]["keys"]) == (False, 1)
    assert "qzsecond" not in shell("customer", "timeline", "customer:2", *IN_CLEAR).out


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"name": "Mario R\u00fcssi"}, True),
        ({"name": "MARIO R\u00dcSSI"}, True),
        ({"nested": [{"phone": "+39 055 123456"}]}, True),
        ({"to": "phone:+39-055-123456"}, True),
        ({"mail": "Mario@Example.com"}, True),
        ({"who": "customer:10000"}, True),
        ({"amount": "10000.00"}, False),
        ({"street": "Santa Mario R\u00fcssi street"}, False),
        ({"who": "customer:100000"}, False),
    ],
)
def test_quarantine_loses_what_names_the_person_and_nothing_else(
    shell: Shell, content: dict[str, Any], found: bool
) -> None:
    mario = {"name": "Mario R\u00fcssi", "email": "mario@example.com", "phone": "+39055123456"}
    record(shell, described(subject="customer:10000", **mario))
    shell("append", "-", stdin=json.dumps({"id": "broken", **content}).encode())
    ran = erase(shell, subject="customer:10000")
    assert ran.json["purged"]["quarantine_entries"] == int(found)


def test_what_is_purged_is_not_left_on_the_disk(told: Shell) -> None:
    secret = json.dumps({"name": CANARIES[0], "rest": "y" * 30_000})
    told("append", "-", stdin=secret.encode())
    with open_ledger(told.address) as ledger:  # which keeps the files from being tidied up
        with ledger.store.cursor() as cursor:
            (sealed,) = cursor.execute("SELECT bytes FROM quarantine_parts").fetchone()
        pieces = [bytes(sealed[at : at + 500]) for at in range(2_000, 28_000, 2_000)]
        assert erase(told).code == 0
        assert not [name for name, content in contents(told.address)
                    if any(piece in content for piece in pieces)]  # fmt: skip


@pytest.mark.parametrize("subject", ["ledger:master", "ledger:quarantine"])
def test_no_touchpoint_is_about_the_keys_of_the_ledger(shell: Shell, subject: str) -> None:
    line = json.dumps(described(subject=subject, name="Eve"))
    receipt = shell("append", "-", "-o", "json", stdin=line.encode()).json
    assert (receipt["recorded"], receipt["quarantined"]) == (0, 1)
    assert record(shell, described(subject="customer:1", name="Ana")).json["recorded"] == 1
    assert shell("keys", "status").code == 0
