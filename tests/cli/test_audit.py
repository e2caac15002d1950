"""`touchstone audit`: seals, their verification, and proofs that need no ledger."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from tests.cli.facts import described, record
from tests.cli.running import Ran, Shell, order_line
from tests.ledger.sealed import tampering

COUNT = 30


@pytest.fixture
def told(shell: Shell) -> Shell:
    append(shell, range(COUNT))
    return shell


def append(shell: Shell, numbers: range) -> None:
    lines = b"\n".join(map(order_line, numbers))
    assert shell("append", "-", "--no-follow", stdin=lines).code == 0


def audit(shell: Shell, *arguments: str) -> Ran:
    return shell("audit", *arguments, "-o", "json")


def in_file(shell: Shell, name: str, *arguments: str) -> str:
    """The file into which a command has written what it prints as well."""
    path = shell.folder / name
    ran = audit(shell, *arguments, "--out", str(path))
    assert ran.code == 0, ran.err
    assert json.loads(path.read_bytes()) == ran.json
    return str(path)


def pem(shell: Shell) -> str:
    path = shell.folder / "ledger.pem"
    assert shell("audit", "key", "--out", str(path)).code == 0
    return str(path)


def test_a_seal_names_the_log_and_is_verified(told: Shell) -> None:
    head = json.loads(Path(in_file(told, "head.json", "seal")).read_bytes())
    assert head.keys() == {
        "format", "ledger_id", "size", "root", "time", "key_id", "signature",
    }  # fmt: skip
    assert head["size"] == COUNT
    assert head["key_id"] == audit(told, "key").json["key_id"]
    assert head["key_id"] == told("keys", "status", "-o", "json").json["signing_key"]
    append(told, range(COUNT, COUNT + 4))
    ran = audit(told, "verify", "--head", str(told.folder / "head.json"))
    assert (ran.code, ran.json) == (
        0,
        {"touchpoints": COUNT + 4, "ok": True, "first_bad": None, "sealed": COUNT, "unsealed": 4,
         "heads": 2, "reason": None},
    )  # fmt: skip


def test_what_is_not_sealed_is_reported_as_unsealed(told: Shell) -> None:
    found = audit(told, "verify").json
    assert (found["ok"], found["sealed"], found["unsealed"]) == (True, 0, COUNT)
    assert "nothing is sealed yet" in told("audit", "verify", "-o", "table").out


def test_a_changed_row_is_named_and_the_exit_code_tells_it(told: Shell) -> None:
    head = in_file(told, "head.json", "seal")
    with tampering(told.address) as hands:
        hands.change("topic", 17, "order.cancelled.v1")
    ran = audit(told, "verify", "--head", head)
    assert (ran.code, ran.json["ok"], ran.json["first_bad"]) == (5, False, 17)
    shown = told("audit", "verify", "-o", "table")
    assert shown.code == 5
    assert "BAD: position 17" in shown.out
    ran = audit(told, "prove", "16")
    assert ran.code == 5
    assert "touchstone audit verify" in ran.err


def test_a_proof_is_checked_without_a_ledger(told: Shell, tmp_path: Path) -> None:
    head = in_file(told, "head.json", "seal")
    proof = in_file(told, "proof.json", "prove", "7", "--source", "shop")
    elsewhere = Shell(tmp_path / "nowhere")  # no such folder
    ran = audit(elsewhere, "check", proof, "--head", head, "--key", pem(told))
    assert (ran.code, ran.json["ok"], ran.json["trusted"]) == (0, True, True)
    assert (ran.json["position"], ran.json["source"], ran.json["id"]) == (8, "shop", "7")
    alone = audit(elsewhere, "check", proof)
    assert (alone.code, alone.json["trusted"]) == (0, False)
    assert "--key" in alone.err


def test_a_proof_by_another_key_or_head_is_none(told: Shell) -> None:
    first = in_file(told, "first.json", "seal")
    append(told, range(COUNT, COUNT + 4))
    in_file(told, "second.json", "seal")
    proof = in_file(told, "proof.json", "prove", "7")
    ran = audit(told, "check", proof, "--head", first)
    assert (ran.code, ran.json["ok"]) == (5, False)
    assert "audit consistency" in ran.json["reason"]
    other = Shell(told.folder / "other")
    assert other("init").code == 0
    ran = audit(told, "check", proof, "--key", pem(other))
    assert (ran.code, ran.json["reason"]) == (5, "the head of 34 is not signed by this key")


def test_a_head_goes_on_from_an_older_one(told: Shell) -> None:
    first = in_file(told, "first.json", "seal")
    append(told, range(COUNT, COUNT + 4))
    second = in_file(told, "second.json", "seal")
    for to in ((), ("--to", second)):
        path = in_file(told, "way.json", "consistency", "--from", first, *to)
        ran = audit(told, "check", path, "--head", first, "--key", pem(told))
        assert (ran.code, ran.json["sizes"]) == (0, [COUNT, COUNT + 4])
    assert audit(told, "consistency", "--from", second, "--to", first).code == 5


@pytest.mark.parametrize("content", [b"", b"[1", b"[]", b'{"format": "touchstone-head-1"}'])
def test_a_file_that_is_no_proof_is_told(told: Shell, content: bytes) -> None:
    path = told.write("proof.json", content)
    ran = audit(told, "check", path)
    assert ran.code == 5
    for option in ("verify", "--head"), ("consistency", "--from"):
        ran = audit(told, *option, path)
        assert ran.code == 5
        assert "Error: " in ran.err


def test_what_cannot_be_proved_is_told(told: Shell) -> None:
    assert audit(told, "prove", "7").code == 4
    assert audit(told, "consistency", "--from", in_file(told, "h", "seal")).code == 0
    ran = audit(told, "prove", "none", "--source", "shop")
    assert (ran.code, ran.err) == (4, "Error: no touchpoint has the id none of shop\n")


def test_an_id_that_several_sources_have_used_needs_its_source(told: Shell) -> None:
    lines = order_line(7, source="till")
    assert told("append", "-", stdin=lines).code == 0
    assert audit(told, "seal").code == 0
    assert audit(told, "prove", "7").code == 2
    assert audit(told, "prove", "7", "--source", "till").json["leaf"]["position"] == COUNT + 1


def test_a_proof_holds_nothing_personal_in_clear(told: Shell) -> None:
    record(told, described(name="Ana Konda", email="ana@example.com"))
    assert audit(told, "seal").code == 0
    (fact,) = told("log", "list", "--type", "customer.described.v1", "-o", "json").json
    proof = in_file(told, "proof.json", "prove", fact["id"])
    state = b64decode(json.loads(Path(proof).read_bytes())["leaf"]["state"])
    assert b"customer:42" in state
    assert b"Ana" not in state
    assert b"example.com" not in state


def test_a_topic_needs_brokers(told: Shell) -> None:
    assert audit(told, "seal", "--topic", "heads").code == 2
