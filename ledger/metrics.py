"""Metrics in the form that Prometheus reads: a registry for each who tells, and none for all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector


class Gauge(NamedTuple):
    """What goes up and down: its values by the values of its labels."""

    name: str
    says: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


def single(name: str, says: str, value: float) -> Gauge:
    """A gauge without labels."""
    return Gauge(name, says, (), {(): value})


class Metrics:
    """Counters and histograms that are written as things happen, and gauges that are asked for.

    A gauge is made anew each time, so what is not there any more is not told any more.
    """

    def __init__(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(gauges))

    def counter(self, name: str, says: str, labels: tuple[str, ...] = ()) -> Counter:
        """A count that only grows; it is told as `name` and `_total`."""
        return Counter(name, says, labels, registry=self._registry)

    def histogram(self, name: str, says: str, limits: tuple[float, ...]) -> Histogram:
        """How often a value was at most each of the limits, and the sum of all."""
        return Histogram(name, says, buckets=limits, registry=self._registry)

    def told(self, accept: str = "") -> tuple[bytes, str]:
        """All of them now, and the content type: the form that `accept` (HTTP) asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Gauges(Collector):
    def __init__(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        self._gauges = gauges

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: their names are known when they are asked for."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for gauge in self._gauges():
            family = GaugeMetricFamily(gauge.name, gauge.says, labels=gauge.labels)
            for labels, value in gauge.values.items():
                family.add_metric(labels, value)
            yield family
