"""What tests of consumers share: ledgers, a cluster, and clients of each library, closed again."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from consumers.client import CLIENTS, client_named
from consumers.cluster import Cluster
from consumers.connection import Connection
from tests.consumers.topics import Book, Member, new_group, subscription
from tests.servers.kafka import Broker


@pytest.fixture
def cluster(kafka_broker: Broker) -> Iterator[Cluster]:
    with Cluster(Connection(servers=kafka_broker.servers)) as opened:
        yield opened


@pytest.fixture(params=sorted(CLIENTS))
def client_name(request: pytest.FixtureRequest) -> str:
    """The name of a client library: tests that ask for it run with each."""
    name: str = request.param
    return name


@pytest.fixture
def group() -> str:
    """The name of a consumer group of the test's own."""
    return new_group()


class Join(Protocol):
    """Opens a member of the test's group; what is `more` goes into its Subscription."""

    def __call__(self, topic: str, book: Book | None = None, **more: Any) -> Member: ...


@pytest.fixture
def join(kafka_broker: Broker, client_name: str, group: str) -> Iterator[Join]:
    """Opens members at the run's broker, as `join(topic, book, instance="a")`."""
    joined: list[Member] = []

    def opened(
        topic: str,
        book: Book | None = None,
        *,
        servers: str = kafka_broker.servers,
        client: str = client_name,
        group: str = group,
        **more: Any,
    ) -> Member:
        member = Member(Book() if book is None else book, f"member {len(joined)}")
        wanted = subscription(servers, topic, group, **more)
        member.client = client_named(client)(wanted, member)
        joined.append(member)
        return member

    yield opened
    for member in joined:
        member.client.close()
