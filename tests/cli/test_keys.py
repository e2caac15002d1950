"""`touchstone keys`: how the keys stand, and the master key replaced."""

import json
import signal
from typing import Any

import pytest

import ledger.rotation
from ledger.keyfile import holding_key_file, read_key_file
from ledger.masters import Masters
from tests.cli.running import Shell, order_line

DESCRIBED: dict[str, Any] = {
    "type": "customer.described.v1",
    "data": {"traits": {"name": "Ana Konda"}},
}


def described(shell: Shell, *customers: str) -> None:
    lines = (order_line(int(c.partition(":")[2]), c, **DESCRIBED) for c in customers)
    assert shell("append", "--no-follow", stdin=b"\n".join(lines)).code == 0


def test_the_standing_of_the_keys_is_told_without_a_key(shell: Shell) -> None:
    described(shell, "customer:1", "customer:2")
    ran = shell("keys", "status", "-o", "json")
    (master,) = ran.json["masters"]
    assert ran.code == 0
    assert (ran.json["keys"], ran.json["erased"], ran.json["rotation"]) == (3, 0, "none")
    assert (master["state"], master["keys"]) == ("in use", 3)
    keys = json.loads(shell.address.keys.read_text())
    for name in ("master", "token", "signing"):
        assert keys[name] not in ran.out
    assert {"token_key", "signing_key", "places", "ledger_id"} <= ran.json.keys()


def test_a_rotation_says_what_it_did_and_what_is_left_to_do(shell: Shell) -> None:
    described(shell, "customer:1", "customer:2")
    before = shell("keys", "status").json
    ran = shell("keys", "rotate", "--yes")
    after = shell("keys", "status").json
    assert ran.code == 0
    assert ran.json == {"master": after["masters"][0]["id"], "keys": 3, "rotation": "none"}
    assert after["masters"][0]["id"] != before["masters"][0]["id"]
    assert (after["token_key"], after["signing_key"]) == (
        before["token_key"], before["signing_key"],
    )  # fmt: skip
    assert "renew the backups of the keys" in ran.err
    described(shell, "customer:3")


def test_without_a_terminal_it_is_not_done_unasked(shell: Shell) -> None:
    before = shell.address.keys.read_bytes()
    ran = shell("keys", "rotate")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert shell.address.keys.read_bytes() == before


def test_what_is_prepared_is_told_and_not_used(shell: Shell) -> None:
    described(shell, "customer:1")
    ran = shell("keys", "rotate", "--prepare")
    assert (ran.code, ran.json["rotation"]) == (0, "prepared")
    masters = shell("keys", "status").json["masters"]
    assert [(m["state"], m["keys"]) for m in masters] == [("in use", 2), ("coming", 0)]
    assert shell("keys", "rotate", "--yes").json["master"] == ran.json["master"]


def test_one_that_is_interrupted_finishes_its_batch_and_can_go_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(shell, "customer:1", "customer:2")
    monkeypatch.setattr(ledger.rotation, "BATCH_KEYS", 1)
    wrap = Masters.wrap

    def interrupted(self: Masters, key: bytes) -> bytes:
        signal.raise_signal(signal.SIGTERM)
        return wrap(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(Masters, "wrap", interrupted)
        ran = shell("keys", "rotate", "--yes")
    assert ran.code == 143
    assert "run the same command again" in ran.err
    status = shell("keys", "status").json
    assert status["rotation"] == "unfinished"
    assert [m["keys"] for m in status["masters"]] == [2, 1]
    assert "`touchstone keys rotate` goes on" in shell("-o", "table", "keys", "status").out
    assert shell("keys", "rotate", "--yes").json["keys"] == 2


def test_a_second_one_is_refused(shell: Shell) -> None:
    with holding_key_file(shell.address.keys):
        assert shell("keys", "rotate", "--yes").code == 8


def test_an_older_key_file_is_told(shell: Shell) -> None:
    old = shell.address.keys.read_bytes()
    assert shell("keys", "rotate", "--yes").code == 0
    assert read_key_file(shell.address.keys).coming is None
    shell.address.keys.write_bytes(old)
    for command in (["keys", "rotate", "--yes"], ["append"]):
        ran = shell(*command)
        assert ran.code == 9
        assert "bring the key file" in ran.err
    ran = shell("keys", "status")
    assert ran.code == 1
    assert "missing" in ran.out
