"""`touchstone append`: receipts, complaints and exit codes for good input and for bad."""

import json
from pathlib import Path

import pytest

from tests.cli.facts import IN_CLEAR
from tests.cli.running import Shell, order_line
from tests.places import Places

SMALLEST = (
    b'{"specversion":"1.0","id":"1","source":"shop","type":"order.completed.v1",'
    b'"subject":"customer:42","time":"2026-01-05T10:00:00Z",'
    b'"data":{"order_id":"A1","total":{"amount":"12.50","currency":"EUR"}}}\n'
)


def test_the_smallest_touchpoint_of_the_catalogue_is_recorded_and_can_be_read(shell: Shell) -> None:
    ran = shell("append", "-o", "json", stdin=SMALLEST)
    assert ran.code == 0
    assert ran.json == {
        "received": 1, "recorded": 1, "duplicate": 0, "conflict": 0, "quarantined": 0, "head": 1,
    }  # fmt: skip
    listed = shell("projection", "list", "-o", "json").json
    assert {view["name"]: view["lag"] for view in listed} == {
        "customers": 0, "tickets": 0, "loyalty": 0, "orders": 0, "consents": 0,
    }  # fmt: skip


def test_what_is_sent_again_is_a_duplicate_and_other_content_a_conflict(shell: Shell) -> None:
    shell("append", stdin=SMALLEST)
    assert shell("append", stdin=SMALLEST).json["duplicate"] == 1
    ran = shell("append", stdin=SMALLEST.replace(b"12.50", b"13.50"))
    assert (ran.code, ran.json["conflict"], ran.json["recorded"]) == (3, 1, 0)
    assert "position 1 holds another content" in ran.err


def test_a_json_array_is_as_good_as_lines(shell: Shell) -> None:
    array = b"[\n" + b" , ".join(order_line(n) for n in range(5)) + b"\n]"
    assert shell("append", stdin=array).json["recorded"] == 5
    lines = b"\n".join(order_line(n) for n in range(5))
    assert shell("append", stdin=lines).json["duplicate"] == 5


BAD = {
    "truncated JSON": (SMALLEST[:60], "", "JSON"),
    "invalid UTF-8": (order_line(2).replace(b"A2", b"A\xff"), "", "JSON"),
    "an unknown type": (order_line(2, type="order.complete.v1"), "type", "order.completed.v1"),
    "a missing field": (order_line(2, data={"order_id": "A"}), "data.total", "required"),
    "an unknown field": (
        order_line(2, data={"order_id": "A", "total": {"amount": "1", "currency": "EUR"}, "x": 1}),
        "data.x", "not a field",
    ),
    "a wrong kind": (
        order_line(2, data={"order_id": 7, "total": {"amount": "1", "currency": "EUR"}}),
        "data.order_id", "string",
    ),
    "a number for money": (
        order_line(2, data={"order_id": "A", "total": {"amount": 1, "currency": "EUR"}}),
        "data.total.amount", "string",
    ),
    "a naive time": (order_line(2, time="2026-01-05T10:00:00"), "time", "offset"),
    "the year 10000": (order_line(2, time="10000-01-05T10:00:00Z"), "time", "RFC 3339"),
    "a depth of 10,000": (
        order_line(2).replace(b'"A2"', b"[" * 10_000 + b"]" * 10_000), "", "JSON",
    ),
    "a NUL character": (order_line(2, subject="customer:\0"), "subject", "subject"),
    "an unknown currency": (
        order_line(2, data={"order_id": "A", "total": {"amount": "1", "currency": "XYZ"}}),
        "data.total.currency", "ISO 4217",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_with_line_and_field_and_costs_only_itself(
    shell: Shell, name: str
) -> None:
    bad, path, expected = BAD[name]
    file = shell.write("in.ndjson", b"\n".join([order_line(1), bad.strip(), order_line(3)]))
    ran = shell("append", file)
    assert ran.code == 3
    assert ran.json == {
        "received": 3, "recorded": 2, "duplicate": 0, "conflict": 0, "quarantined": 1, "head": 2,
    }  # fmt: skip
    (complaint,) = [line for line in ran.err.splitlines() if "line 2" in line]
    assert f"in.ndjson, line 2: {path}" in complaint
    assert expected in complaint
    kept = shell("quarantine", "show", "1", "--bytes", *IN_CLEAR).out
    assert kept.encode("utf-8", "surrogateescape").strip() == bad.strip()


def test_an_empty_file_is_taken_for_a_mistake_and_an_empty_pipe_is_not(shell: Shell) -> None:
    for ran in (shell("append", shell.write("empty", b"\n \n")), shell("append", stdin=b"")):
        assert "there are no touchpoints in it" in ran.err
        assert ran.json["received"] == 0
    assert shell("append", shell.write("empty", b"")).code == 2
    assert shell("append", stdin=b"").code == 0


def test_a_first_line_that_only_looks_like_an_array_costs_only_itself(shell: Shell) -> None:
    ran = shell("append", stdin=b"[garbage\n" + order_line(1) + b"\n" + order_line(2))
    assert (ran.code, ran.json["recorded"], ran.json["quarantined"]) == (3, 2, 1)


def test_a_file_that_is_not_there_is_a_usage_error(shell: Shell) -> None:
    ran = shell("append", str(shell.folder / "absent.ndjson"))
    assert ran.code == 2
    assert "there is no file" in ran.err


def test_without_a_ledger_the_exit_code_is_ten(tmp_path: Path, places: Places) -> None:
    ran = Shell(tmp_path, places.unmade())("append", stdin=SMALLEST)
    assert ran.code == 10
    assert "touchstone init" in ran.err


def test_unknown_options_and_addresses_are_usage_errors(shell: Shell) -> None:
    assert shell("append", "--nonsense").code == 2
    assert shell("--ledger", "mysql://user:secret@host/x", "append").code != 0
    assert "secret" not in shell("--ledger", "mysql://user:secret@host/x", "append").err


def test_many_refusals_are_counted_rather_than_all_told(shell: Shell) -> None:
    ran = shell("append", stdin=b"\n".join(b"{broken %d" % n for n in range(50)))
    assert ran.json["quarantined"] == 50
    assert len(ran.err.splitlines()) == 21
    assert "30 more" in ran.err


def test_no_follow_leaves_the_views_behind_and_run_brings_them_up(shell: Shell) -> None:
    shell("append", "--no-follow", stdin=SMALLEST)
    assert shell("projection", "list", "-o", "json").json[0]["lag"] == 1
    ran = shell("projection", "run", "-o", "json")
    assert [view["lag"] for view in ran.json] == [0] * 5


def test_one_object_is_one_line_when_piped_and_indented_json_when_asked(shell: Shell) -> None:
    assert len(shell("append", stdin=SMALLEST).out.splitlines()) == 1
    assert json.loads(shell("append", "-o", "json", stdin=SMALLEST).out)["duplicate"] == 1
    assert "duplicate" in shell("append", "-o", "table", stdin=SMALLEST).out
