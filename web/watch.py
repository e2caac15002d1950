"""What is to be seen of a server from outside. Nothing of what clients send is told."""

from collections.abc import Callable, Iterable, Iterator

from ledger.metrics import Gauge, Metrics, single
from ledger.receipt import Receipt

OUTCOMES = ("recorded", "duplicate", "conflict", "quarantined")
REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DOORS = ("events", "segment", "webhook")


class Watch:
    """The watch on one server; for any thread. `beside` are gauges of what runs beside it."""

    def __init__(self, beside: Callable[[], Iterable[Gauge]] = tuple) -> None:
        self._beside = beside
        self.under_way = 0
        self.reading = 0
        """Of those that are under way, those that wait for a part of their body."""
        self.held_bytes = 0
        """Of bodies that are in memory."""
        self.held_of_strangers = 0
        """Of those, of requests by nobody who is known yet."""
        self.metrics = Metrics(self._gauges)
        made = self.metrics
        self._requests = made.counter(
            "touchstone_http_requests", "Answered requests.", ("endpoint", "status")
        )
        self._seconds = made.histogram(
            "touchstone_http_request_seconds",
            "From the headers of a request until its answer.",
            REQUEST_SECONDS,
        )
        self._taken = made.counter(
            "touchstone_http_taken", "What became of touchpoints.", ("door", "outcome")
        )
        self._refused = made.counter(
            "touchstone_http_refused", "Requests that were turned away unread.", ("reason",)
        )

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """A request was answered; `endpoint` is its route, never its path."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.observe(seconds)

    def took(self, door: str, receipt: Receipt) -> None:
        """The ledger has taken what came through a door."""
        for outcome in OUTCOMES:
            if count := getattr(receipt, outcome):
                self._taken.labels(door, outcome).inc(count)

    def refused(self, reason: str) -> None:
        """A request was turned away: a wrong signature, no token, too many of them."""
        self._refused.labels(reason).inc()

    def _gauges(self) -> Iterator[Gauge]:
        yield from self._beside()
        yield single("touchstone_http_under_way", "Requests being answered.", self.under_way)
        yield single("touchstone_http_reading", "Of those, whose bodies come.", self.reading)
        yield single("touchstone_http_held_bytes", "Of bodies in memory.", self.held_bytes)
