"""Delays from recorded to visible are those of each touchpoint, not of each look at the views."""

from hypothesis import given
from hypothesis import strategies as st

from bench.load import Load, Sight, delays_of, percentile, results_of


def test_each_touchpoint_waits_until_the_views_were_first_seen_to_have_it() -> None:
    recorded = [Sight(10.0, 102), Sight(10.5, 103)]
    seen = [Sight(9.0, 100), Sight(10.1, 101), Sight(10.3, 102), Sight(11.0, 103)]

    delays = delays_of(recorded, seen)

    assert [round(delay) for delay in delays] == [100, 300, 500]


def test_one_look_may_show_several_groups() -> None:
    delays = delays_of([Sight(1.0, 1), Sight(2.0, 3)], [Sight(0.0, 0), Sight(2.25, 3)])

    assert delays == [250.0, 250.0, 1_250.0]


def test_what_is_seen_before_its_writer_hears_of_it_has_not_waited() -> None:
    assert delays_of([Sight(5.0, 1)], [Sight(0.0, 0), Sight(4.9, 1)]) == [0.0]


@given(st.lists(st.floats(0, 1_000), min_size=2).map(sorted))
def test_the_99th_percentile_lies_between_the_median_and_the_longest(delays: list[float]) -> None:
    assert percentile(delays, 50) <= percentile(delays, 99) + 1e-9
    assert percentile(delays, 99) <= delays[-1] + 1e-9


def test_the_goal_is_judged_by_the_longest_delays_when_the_load_was_reached() -> None:
    p50, p99 = results_of([Load(1_000.0, 990.0, [1.0] * 90 + [400.0] * 10)])

    assert (p50.ours, p50.reached) == (1.0, "")
    assert (p99.ours, p99.reached) == (400.0, "no")


def test_short_delays_prove_nothing_when_the_load_was_not_reached() -> None:
    _, p99 = results_of([Load(1_000.0, 500.0, [1.0] * 100)])

    assert p99.reached == ""
    assert "at 500/s; half of the intake alone is 1,000/s" in p99.work
