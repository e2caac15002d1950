"""The curve runs at small sizes on both stores, and its picture holds what was measured."""

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench.curve import Curve, Point, main, picture_of, with_points
from cli.drawing import tick_step

SVG = "{http://www.w3.org/2000/svg}"


def test_every_size_is_measured_on_both_stores_and_drawn(tmp_path: Path) -> None:
    file, picture = tmp_path / "curve.json", tmp_path / "curve.svg"

    main(["--sizes", "400", "1200", "--json", str(file), "--picture", str(picture)])

    curve = msgspec.json.decode(file.read_bytes(), type=Curve)
    assert {(point.store, point.work, point.touchpoints) for point in curve.points} == {
        (store, work, size)
        for store in ("SQLite", "PostgreSQL")
        for work in ("rebuild", "append")
        for size in (400, 1_200)
    }
    assert all(point.rate > 0 and point.memory > 0 for point in curve.points)
    assert picture.read_text(encoding="utf-8") == picture_of(curve)


def test_the_picture_names_its_axes_and_has_a_line_for_each_work_in_each_panel(
    tmp_path: Path,
) -> None:
    curve = msgspec.convert(
        {
            "machine": {
                "cores": 2, "processor": "x", "system": "y", "python": "3.11", "sqlite": "3.40",
                "eventsourcing": "9.5", "load": 0.0, "postgres": "15.1 (of some maker)",
            },
            "workers": 2,
            "points": [
                {"store": store, "work": work, "touchpoints": size, "rate": 9.0, "memory": 50.0}
                for store in ("SQLite", "PostgreSQL")
                for work in ("rebuild", "append")
                for size in (1_000, 10_000)
            ],
        },
        Curve,
    )  # fmt: skip

    drawing = ElementTree.fromstring(picture_of(curve))

    assert len(drawing.findall(f".//{SVG}path")) == 2 * 4
    assert len(drawing.findall(f".//{SVG}circle")) == 2 * 4 * 2
    words = [text.text for text in drawing.iter(f"{SVG}text")]
    assert {"touchpoints per second", "MiB", "touchpoints in the log", "10,000"} <= set(words)
    assert words.count("append in groups of 1,000, PostgreSQL") == 1


@pytest.mark.parametrize(
    ("highest", "step"), [(6.0, 1), (7.0, 2), (29.0, 5), (60.0, 10), (220_000.0, 50_000)]
)
def test_an_axis_has_a_few_round_marks(highest: float, step: float) -> None:
    assert tick_step(highest) == step


def test_points_that_are_measured_again_take_the_place_of_the_old(tmp_path: Path) -> None:
    file, picture = tmp_path / "curve.json", tmp_path / "curve.svg"
    curve = main(["--sizes", "400", "--json", str(file), "--picture", str(picture)])
    again = Point("SQLite", "append", 400, 1.0, 2.0)

    merged = with_points(curve, [again])

    assert again in merged.points
    assert len(merged.points) == len(curve.points)
