"""The benchmarks run at a small size and report what they should; how fast is not asked."""

from pathlib import Path

import msgspec
import pytest

from bench.__main__ import main
from bench.appending import WHOLE_WAY
from bench.http import OURS
from bench.kafka import APPEND_ALONE, ours_of, reading_of, results_of
from bench.measuring import Goal, Line, Result, alternately, compared
from bench.memory import PROCESSES
from bench.replaying import replaying_with
from bench.report import Report
from bench.sealing import SEALED, verifying_with
from consumers.client import CLIENTS
from tests.servers.kafka_installation import installed

SMALL = ("--touchpoints", "600", "--customers", "60", "--rounds", "1", "--workers", "1", "2")


def run(file: Path, *arguments: str) -> Report:
    main([*SMALL, "--json", str(file), *arguments])
    return msgspec.json.decode(file.read_bytes(), type=Report)


def test_every_comparison_runs_on_sqlite_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(tmp_path / "report.json", "--store", "sqlite")

    works = [result.work for result in report.results]
    assert "idempotent append, groups of 1,000" in works
    assert works.count("rebuild, workers: 1") == works.count("rebuild, workers: 2") == 3
    assert works.count("following in pages of 1,000") == 2
    assert ("memory of a rebuild, workers: 2" in works) == PROCESSES.is_dir()
    assert any(work.startswith("recorded to visible, p99") for work in works)
    assert {SEALED, verifying_with(1), verifying_with(2)} <= set(works)
    assert {replaying_with(1), replaying_with(2), *OURS.values()} <= set(works)
    assert all(works.count(ours_of(client)) == 3 for client in CLIENTS)
    assert all(result.ours > 0 and result.theirs > 0 for result in report.results)
    assert {result.store for result in report.results} == {"SQLite"}
    shown = capsys.readouterr().out
    assert "600 touchpoints of 60 customers" in shown
    assert f"SQLite {report.machine.sqlite}" in shown
    assert "PostgreSQL" not in shown


def test_every_comparison_runs_on_postgresql_and_names_the_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(tmp_path / "report.json", "--store", "postgres")

    beaten = {(result.work, result.to_beat) for result in report.results}
    append = "idempotent append, groups of 1,000"
    runner = "stock ProjectionRunner, one counter view"
    assert (append, "stock insert_events, not idempotent") in beaten
    assert (append, "binary COPY, packed in Python") in beaten
    assert (append, "binary COPY of bytes prepared beforehand") in beaten
    assert ("rebuild, workers: 1", runner) in beaten
    assert ("following in pages of 1,000", runner) in beaten
    assert (
        "64 concurrent callers, one touchpoint each", "stock save, 8 threads, one event each"
    ) in beaten  # fmt: skip
    assert any(work.startswith("recorded to visible, p99") for work, _ in beaten)
    assert {
        (ours_of(client), theirs)
        for client in CLIENTS
        for theirs in (reading_of(client), APPEND_ALONE, WHOLE_WAY)
    } <= beaten
    assert all(result.ours > 0 and result.theirs > 0 for result in report.results)
    assert {result.store for result in report.results} == {"PostgreSQL"}
    assert report.machine.settings["fsync"] == "on"
    assert "shared_buffers 256MB" in capsys.readouterr().out.replace("\n", "")


def test_both_stores_are_measured_in_one_run(tmp_path: Path) -> None:
    report = run(tmp_path / "report.json", "--store", "both", "--only", "append")

    assert {result.store for result in report.results} == {"SQLite", "PostgreSQL"}


def test_only_what_is_asked_for_is_measured(tmp_path: Path) -> None:
    report = run(tmp_path / "report.json", "--store", "sqlite", "--only", "append")

    assert {result.to_beat for result in report.results} == {
        "stock insert_events, synchronous=FULL, not idempotent"
    }


def test_other_stores_need_node_and_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "report.json", "--against", "message-db", "emmett")

    assert ended.value.code == 2
    assert "node and npm of Node.js cannot be found" in capsys.readouterr().err


def test_without_java_it_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    installed.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "report.json", "--store", "sqlite")

    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "needs Java" in told
    assert "naming others with --only" in told
    assert "recording" not in told


@pytest.mark.parametrize("asked", [("--only", "callers"), ("--against", "emmett")])
def test_what_only_postgresql_has_is_refused_on_sqlite(
    tmp_path: Path, asked: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path / "report.json", "--store", "sqlite", *asked)

    assert "PostgreSQL" in capsys.readouterr().err


def test_an_unknown_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path / "report.json", "--only", "luck")


def test_the_ways_take_turns_and_each_keeps_all_its_figures() -> None:
    turns: list[str] = []

    def way(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    figures = alternately({"a": lambda: way("a"), "b": lambda: way("b")}, 2, lambda text: None)

    assert turns == ["a", "b", "a", "b"]
    assert figures == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_ours_is_held_against_the_fastest_of_theirs() -> None:
    figures = {"slow": [1.0, 1.0, 1.0], "fast": [1.0, 4.0, 5.0], "ours": [8.0, 9.0, 1.0]}

    result = compared("work", "ours", Line(("slow", "fast"), Goal(2.0, 3.0)), figures)

    assert (result.to_beat, result.ratio, result.reached) == ("fast", 2.0, "goal")


@pytest.mark.parametrize(
    ("reading", "append", "slower"),
    [(60.0, 40.0, APPEND_ALONE), (30.0, 40.0, reading_of("client"))],
)
def test_consuming_is_judged_by_the_slower_of_reading_and_appending(
    reading: float, append: float, slower: str
) -> None:
    figures = {
        reading_of("client"): [reading],
        APPEND_ALONE: [append],
        WHOLE_WAY: [10.0],
        ours_of("client"): [24.0],
    }

    results = results_of("client", Goal(0.5, 0.8), figures)

    assert {result.to_beat: result.goal for result in results} == {
        reading_of("client"): None,
        APPEND_ALONE: None,
        WHOLE_WAY: None,
        slower: 0.5,
    }


@pytest.mark.parametrize(
    ("ratio", "reached"), [(1.0, "goal"), (1.1, "goal"), (1.2, "no"), (10.0, "no")]
)
def test_what_must_not_grow_is_reached_from_below(ratio: float, reached: str) -> None:
    result = Result(
        work="memory",
        to_beat="less",
        unit="MiB",
        theirs=1.0,
        ours=ratio,
        ratio=ratio,
        goal=1.1,
        at_most=True,
    )

    assert result.reached == reached
