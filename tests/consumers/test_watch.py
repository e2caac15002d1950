"""The watch on consumers and relays: which state they are in, and what Prometheus is told."""

from collections.abc import Callable

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumers.client import Partition
from consumers.condition import STUCK_SECONDS, Condition
from consumers.watch import RelayWatch, Watch
from ledger.metrics import Metrics
from ledger.receipt import Receipt

SECOND = 1_000_000
A, B = Partition("orders", 0), Partition("orders", 10)


class Clock:
    """A clock that a test sets: the wall clock and the monotonic one go together."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def condition(self) -> Condition:
        return Condition(ticks=lambda: self.seconds, clock=lambda: round(self.seconds * SECOND))

    def passes(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    return Watch(clock.condition())


@pytest.fixture
def relay(clock: Clock) -> RelayWatch:
    return RelayWatch(clock.condition())


def samples(metrics: Metrics) -> dict[str, float]:
    """What is scraped, as `name{label=value}`."""
    text = metrics.told()[0].decode()
    return {
        sample.name
        + "".join(f"{{{n}={v}}}" for n, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def took(watch: Watch, recorded: int = 1) -> bool:
    return watch.took(Receipt(received=recorded, recorded=recorded), 0, 0.01)


class TestHealth:
    def test_it_is_starting_until_the_broker_was_heard_of(self, watch: Watch) -> None:
        assert (watch.health().state, watch.health().good) == ("starting", False)
        watch.sees({})
        assert (watch.health().state, watch.health().good) == ("standby", True)

    def test_it_moves_while_it_is_behind_and_has_caught_up_when_it_is_not(
        self, watch: Watch
    ) -> None:
        watch.sees({B: (5, 5), A: (3, 10)})
        assert (watch.health().state, watch.health().good) == ("moving", True)
        assert msgspec.to_builtins(watch.health().partitions) == [
            {"topic": "orders", "partition": 0, "position": 3, "end": 10, "lag": 7},
            {"topic": "orders", "partition": 10, "position": 5, "end": 5, "lag": 0},
        ]
        watch.sees({A: (10, 10)})
        assert (watch.health().state, len(watch.health().partitions)) == ("caught_up", 1)

    def test_who_is_behind_and_takes_nothing_is_stuck(self, watch: Watch, clock: Clock) -> None:
        watch.sees({A: (3, 10)})
        clock.passes(STUCK_SECONDS)
        watch.sees({A: (3, 10)})
        assert watch.health().state == "moving"
        clock.passes(1)
        found = watch.health()
        assert (found.state, found.good, found.since) == ("stuck", False, "1970-01-01T00:01:40Z")
        assert "nothing has moved" in (found.reason or "")
        took(watch)
        assert (watch.health().state, watch.health().reason) == ("moving", None)

    def test_who_becomes_behind_after_a_long_rest_is_not_stuck(
        self, watch: Watch, clock: Clock
    ) -> None:
        watch.sees({A: (3, 3)})
        clock.passes(STUCK_SECONDS * 10)
        watch.sees({A: (3, 4)})
        assert watch.health().state == "moving"

    def test_who_has_nothing_to_do_and_does_not_look_any_more_hangs(
        self, watch: Watch, clock: Clock
    ) -> None:
        watch.sees({A: (3, 3)})
        clock.passes(STUCK_SECONDS + 1)
        assert (watch.health().state, watch.health().good) == ("stuck", False)
        watch.sees({A: (3, 3)})
        assert watch.health().state == "caught_up"

    def test_what_is_lost_is_news_once_and_says_why_and_since_when(
        self, watch: Watch, clock: Clock
    ) -> None:
        watch.sees({A: (3, 3)})
        assert watch.lost("it is away")
        clock.passes(60)
        assert not watch.lost("it is still away")
        found = watch.health()
        assert (found.state, found.good, found.reason) == ("disconnected", False, "it is away")
        assert (found.since, found.at) == ("1970-01-01T00:01:40Z", "1970-01-01T00:02:40Z")

    def test_the_broker_alone_is_enough_for_who_has_nothing_to_take(self, watch: Watch) -> None:
        watch.lost("the broker is away")
        watch.sees({A: (3, 3)})
        assert watch.health().state == "caught_up"
        assert watch.lost("the broker is away again")

    @pytest.mark.parametrize("taken_first", [True, False])
    def test_who_is_behind_is_well_again_when_both_sides_have_answered(
        self, watch: Watch, taken_first: bool
    ) -> None:
        watch.sees({A: (3, 9)})
        watch.lost("one of them is away")
        answers: list[Callable[[], bool]] = [lambda: took(watch), lambda: watch.sees({A: (3, 9)})]
        for again, answer in enumerate(answers if taken_first else reversed(answers)):
            assert watch.health().state == "disconnected"
            assert answer() == bool(again)
        assert watch.health().state == "moving"

    def test_a_loss_in_between_asks_for_both_sides_again(self, watch: Watch) -> None:
        watch.sees({A: (3, 9)})
        watch.lost("the ledger is away")
        watch.sees({A: (3, 9)})
        watch.lost("the ledger is away")
        took(watch)
        assert watch.health().state == "disconnected"


class TestMetrics:
    def test_all_that_became_of_records_is_counted(self, watch: Watch) -> None:
        receipt = Receipt(received=10, recorded=4, duplicate=3, conflict=2, quarantined=1)
        watch.took(receipt, 5, 0.02)
        watch.took(receipt, 0, 7)
        found = samples(watch.metrics)
        assert found["touchstone_received_total"] == 20
        assert found["touchstone_skipped_total"] == 5
        assert {
            name: found[f"touchstone_consumed_total{{outcome={name}}}"]
            for name in ("recorded", "duplicate", "conflict", "quarantined")
        } == {"recorded": 8, "duplicate": 6, "conflict": 4, "quarantined": 2}
        assert found["touchstone_group_size_sum"] == 25
        assert found["touchstone_group_size_bucket{le=10.0}"] == 1
        assert found["touchstone_group_seconds_count"] == 2
        assert found["touchstone_group_seconds_bucket{le=0.025}"] == 1

    def test_what_has_not_happened_yet_is_told_as_nothing(self, watch: Watch) -> None:
        found = samples(watch.metrics)
        assert found["touchstone_consumed_total{outcome=conflict}"] == 0
        assert found["touchstone_up"] == 0

    def test_a_move_behind_what_is_never_delivered_is_no_group(self, watch: Watch) -> None:
        watch.took(Receipt(), 0, 0.02)
        assert samples(watch.metrics)["touchstone_group_size_count"] == 0

    def test_partitions_are_told_as_long_as_they_are_held(self, watch: Watch) -> None:
        watch.sees({A: (3, 10), B: (5, 5)})
        found = samples(watch.metrics)
        assert found["touchstone_consumer_lag{partition=0}{topic=orders}"] == 7
        assert found["touchstone_consumer_position{partition=10}{topic=orders}"] == 5
        watch.sees({B: (5, 6)})
        assert [name for name in samples(watch.metrics) if "partition" in name] == [
            "touchstone_consumer_lag{partition=10}{topic=orders}",
            "touchstone_consumer_position{partition=10}{topic=orders}",
        ]

    def test_up_says_whether_both_sides_answer(self, watch: Watch) -> None:
        watch.sees({A: (3, 3)})
        assert samples(watch.metrics)["touchstone_up"] == 1
        watch.lost("away")
        assert samples(watch.metrics)["touchstone_up"] == 0

    def test_two_watches_do_not_count_for_each_other(self, watch: Watch, clock: Clock) -> None:
        took(watch)
        assert samples(Watch(clock.condition()).metrics)["touchstone_received_total"] == 0

    def test_the_form_that_is_asked_for_is_told(self, watch: Watch) -> None:
        body, content_type = watch.metrics.told("application/openmetrics-text; version=1.0.0")
        assert content_type.startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")
        assert watch.metrics.told()[1].startswith("text/plain")


class TestRelay:
    def test_it_tells_how_far_the_log_is_relayed(self, relay: RelayWatch) -> None:
        assert relay.health().state == "starting"
        relay.published(7, 10, 30)
        relay.published(5, 15, 30)
        found = relay.health()
        assert (found.state, found.position, found.head, found.lag) == ("moving", 15, 30, 15)
        relay.published(0, 30, 30)
        assert (relay.health().state, relay.health().good) == ("caught_up", True)
        assert samples(relay.metrics) | {
            "touchstone_relay_published_total": 12,
            "touchstone_relay_position": 30,
            "touchstone_relay_head": 30,
            "touchstone_up": 1,
        } == samples(relay.metrics)

    def test_a_relay_that_is_behind_and_publishes_nothing_is_stuck(
        self, relay: RelayWatch, clock: Clock
    ) -> None:
        relay.published(7, 10, 30)
        clock.passes(STUCK_SECONDS + 1)
        relay.published(0, 10, 30)
        assert (relay.health().state, relay.health().good) == ("stuck", False)

    def test_one_that_stands_by_is_well(self, relay: RelayWatch) -> None:
        relay.stands_by()
        assert (relay.health().state, relay.health().good) == ("standby", True)

    def test_what_is_lost_is_found_again(self, relay: RelayWatch) -> None:
        relay.published(7, 10, 10)
        assert (relay.lost("away"), relay.lost("away")) == (True, False)
        assert (relay.health().state, relay.health().reason) == ("disconnected", "away")
        relay.published(0, 8, 8)
        assert relay.health().state == "caught_up"
