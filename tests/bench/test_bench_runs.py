"""The benchmarks run at a small size and report what they should; how fast is not asked."""

from pathlib import Path

import msgspec
import pytest

from bench.__main__ import main
from bench.measuring import Goal, Result, alternately, compared
from bench.memory import PROCESSES
from bench.report import Report

SMALL = ("--touchpoints", "2000", "--customers", "100", "--rounds", "1", "--workers", "1", "2")


def run(file: Path, *arguments: str) -> Report:
    main([*SMALL, "--json", str(file), *arguments])
    return msgspec.json.decode(file.read_bytes(), type=Report)


def test_every_comparison_runs_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(tmp_path / "report.json")

    works = [result.work for result in report.results]
    assert "idempotent append, groups of 1,000" in works
    assert works.count("rebuild, workers: 1") == works.count("rebuild, workers: 2") == 2
    assert works.count("following in pages of 1,000") == 2
    assert ("memory of a rebuild, workers: 2" in works) == PROCESSES.is_dir()
    assert all(result.ours > 0 and result.theirs > 0 for result in report.results)
    shown = capsys.readouterr().out
    assert "2,000 touchpoints of 100 customers" in shown
    assert f"SQLite {report.machine.sqlite}" in shown


def test_only_what_is_asked_for_is_measured(tmp_path: Path) -> None:
    report = run(tmp_path / "report.json", "--only", "append")

    assert {result.to_beat for result in report.results} == {
        "stock insert_events, synchronous=FULL, not idempotent"
    }


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

    result = compared("work", "ours", ("slow", "fast"), figures, Goal(2.0, 3.0))

    assert (result.to_beat, result.ratio, result.reached) == ("fast", 2.0, "goal")


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
