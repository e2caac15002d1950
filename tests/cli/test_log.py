"""`touchstone log`: listing, showing, following and exporting the log."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.cli.facts import IN_CLEAR, described, event, order, record
from tests.cli.running import Shell
from tests.places import plain_connection


@pytest.fixture
def log(shell: Shell) -> Shell:
    """Five touchpoints of two subjects; the third is the earliest."""
    record(
        shell,
        order("A1", "10.00", "2026-01-05T10:00:00+01:00", id="o1", sequence="7"),
        order("A2", "20.00", "2026-01-06T10:00:00Z", id="o2", correlationid="flow"),
        described("2025-12-01T10:00:00Z", name="Ana", custom={"shoe": "38"}),
        event("note.added.v1", {"note_id": "N", "text": "rude", "agent": "eva", "internal": True},
              "2026-01-07T10:00:00Z", "email:bob@example.com", id="o1", source="crm"),
        event("referral.made.v1", {"referral_id": "R", "programme": "p",
              "referee": "email:eve@example.com"}, "2026-01-08T10:00:00Z", tenant="it"),
    )  # fmt: skip
    return shell


def positions(shell: Shell, *filters: str) -> list[int]:
    ran = shell("log", "list", "-o", "json", *filters)
    assert ran.code == 0, ran.err
    return [told["position"] for told in ran.json]


def test_list_gives_what_stands_in_the_log(log: Shell) -> None:
    first = log("log", "list", "-n", "1").json
    assert first.pop("recorded_at").endswith("Z")
    assert first == {
        "position": 1,
        "time": "2026-01-05T10:00:00+01:00",
        "type": "order.completed.v1",
        "source": "shop",
        "id": "o1",
        "subject": "customer:42",
        "sequence": 7,
        "data": {"order_id": "A1", "total": {"amount": "10.00", "currency": "EUR"}},
    }


def test_list_can_be_narrowed(log: Shell) -> None:
    assert positions(log) == [1, 2, 3, 4, 5]
    assert positions(log, "--from", "4") == [4, 5]
    assert positions(log, "--type", "order.completed.v1", "-n", "1") == [1]
    assert positions(log, "--subject", "email:BOB@example.com") == [4]
    assert positions(log, "--subject", "customer:42", "--from", "2") == [2, 3, 5]
    assert positions(log, "--since", "2026-01-06", "--until", "2026-01-07") == [2, 4]
    assert positions(log, "--subject", "customer:99") == []
    assert log("log", "list", "--from", "0").code == 2
    assert "order.completed.v1?" in log("log", "list", "--type", "order.complete.v1").err


def test_a_log_longer_than_a_page_is_listed_whole(shell: Shell) -> None:
    record(shell, *(order(f"A{n}", "1", "2026-01-05T10:00:00Z") for n in range(2_300)))
    assert positions(shell) == list(range(1, 2_301))
    assert positions(shell, "--from", "2299") == [2299, 2300]
    assert len(shell("log", "list").out.splitlines()) == 2_300


def test_show_gives_one_touchpoint_of_one_source(log: Shell) -> None:
    ran = log("log", "show", "o1")
    assert ran.code == 2
    assert "crm, shop" in ran.err
    told = log("log", "show", "o1", "--source", "crm", *IN_CLEAR).json
    assert (told["data"]["text"], told["subject"]) == ("rude", "email:bob@example.com")
    assert log("log", "show", "o2").json["correlationid"] == "flow"
    assert log("log", "show", "o3").code == 4
    assert log("log", "show", "o2", "--source", "crm").code == 4
    page = log("log", "show", "o1", "--source", "crm", "-o", "table", *IN_CLEAR).out
    assert '"text": "rude"' in page


def test_tail_gives_the_last_in_their_order(log: Shell) -> None:
    assert [told["position"] for told in log("log", "tail", "-n", "2").json] == [4, 5]
    page = log("log", "tail", "-n", "2", "-o", "table", *IN_CLEAR).out
    assert "referred email:eve@example.com" in page


def test_export_is_in_clear_and_for_the_owner_alone(log: Shell) -> None:
    path = log.folder / "all.ndjson"
    ran = log("log", "export", str(path), *IN_CLEAR)
    assert (ran.code, ran.json["touchpoints"]) == (0, 5)
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert lines[0]["time"] == "2026-01-05T10:00:00+01:00"
    assert lines[2]["data"]["traits"] == {"name": "Ana", "custom": {"shoe": "38"}}
    assert lines[4]["tenant"] == "it"
    assert lines[4]["data"]["referee"] == "email:eve@example.com"
    assert not list(log.folder.glob(".touchstone-export*"))


def test_what_is_exported_and_appended_again_is_known_already(log: Shell) -> None:
    exported = log("log", "export", *IN_CLEAR).out.encode()
    receipt = log("append", stdin=exported).json
    assert (receipt["duplicate"], receipt["recorded"], receipt["conflict"]) == (5, 0, 0)


def test_another_ledger_gets_the_same_touchpoints(log: Shell, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Shell(tmp_path / "other")
    other("init")
    exported = log("log", "export", *IN_CLEAR).out
    assert other("append", stdin=exported.encode()).json["recorded"] == 5
    assert other("log", "export", *IN_CLEAR).out == exported


def test_an_export_can_be_narrowed(log: Shell) -> None:
    lines = log("log", "export", "--type", "order.completed.v1").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["o1", "o2"]


def test_an_export_writes_over_nothing_unasked(log: Shell) -> None:
    path = log.write("all.ndjson", b"mine\n")
    assert log("log", "export", path).code == 2
    assert Path(path).read_bytes() == b"mine\n"
    assert log("log", "export", path, "--yes").code == 0
    assert len(Path(path).read_bytes().splitlines()) == 5


def test_an_export_is_for_the_owner_alone_whatever_was_there(log: Shell) -> None:
    path, other = Path(log.write("all.ndjson", b"mine\n")), Path(log.write("all.ndjson.part", b"x"))
    path.chmod(0o644)
    other.chmod(0o644)
    assert log("log", "export", str(path), "--yes").code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert other.read_bytes() == b"x"


def test_an_export_goes_to_where_a_link_leads(log: Shell) -> None:
    there, link = log.folder / "there.ndjson", log.folder / "link"
    link.symlink_to(there)
    assert log("log", "export", str(link)).code == 0
    assert log("log", "export", str(link)).code == 2
    assert log("log", "export", str(link), "--yes").code == 0
    assert link.is_symlink()
    assert len(there.read_bytes().splitlines()) == 5


def test_an_export_goes_into_files_only(log: Shell) -> None:
    fifo, circle = log.folder / "fifo", log.folder / "circle"
    os.mkfifo(fifo)
    circle.symlink_to(circle)
    before = sorted(log.folder.iterdir())
    targets = (fifo, circle, log.folder / "absent" / "all.ndjson", log.folder / "touchstone.db/x")
    for target in targets:
        ran = log("log", "export", str(target), "--yes")
        assert (ran.code, ran.out) == (2, ""), ran.err
        assert target.name in ran.err
    assert sorted(log.folder.iterdir()) == before
    assert fifo.is_fifo()


def test_what_is_erased_is_left_out_of_an_export_that_doors_still_take(log: Shell) -> None:
    with plain_connection(log.address, keys=True) as keys:
        keys.execute("DELETE FROM subject_keys WHERE subject <> 'ledger:quarantine'")
    exported = log("log", "export", *IN_CLEAR).out
    lines = [json.loads(line) for line in exported.splitlines()]
    assert lines[2]["data"]["traits"] == {}
    assert lines[3]["data"]["text"] == "[erased]"
    other = Shell(log.folder / "other")
    other.folder.mkdir()
    other("init")
    assert other("append", stdin=exported.encode()).json["recorded"] == 5


@contextmanager
def running(shell: Shell, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A command in a process of its own, and its standard output."""
    command = [sys.executable, "-m", "cli.main", *shell.place, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


SIGNALLED = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)


@SIGNALLED
def test_following_the_log_shows_what_comes_until_it_is_interrupted(
    log: Shell, number: signal.Signals, code: int
) -> None:
    with running(log, "log", "tail", "-n1", "-f") as (process, out):
        assert json.loads(out.readline())["position"] == 5
        record(log, order("A6", "1", "2026-01-09T10:00:00Z"))
        assert json.loads(out.readline())["position"] == 6
        process.send_signal(number)
        assert process.wait(timeout=20) == code
        assert process.stderr is not None
        assert process.stderr.read() == b"interrupted\n"


@SIGNALLED
def test_a_list_that_is_interrupted_ends_with_the_code_of_the_signal(
    shell: Shell, number: signal.Signals, code: int
) -> None:
    # More than a pipe holds, so that the list waits for its reader.
    record(shell, *(order(f"A{n}", "1", "2026-01-05T10:00:00Z") for n in range(2_000)))
    with running(shell, "log", "list") as (process, out):
        json.loads(out.readline())
        process.send_signal(number)
        out.read()
        assert process.wait(timeout=20) == code


def test_the_real_entry_point_ends_with_the_exit_code(log: Shell) -> None:
    program = Path(sys.executable).with_name("touchstone")
    for arguments, code in ((["log", "show", "o2"], 0), (["log", "show", "zz"], 4)):
        ran = subprocess.run(
            [str(program), *log.place, *arguments], capture_output=True, check=False
        )
        assert ran.returncode == code
        assert bool(ran.stdout) == (code == 0)
