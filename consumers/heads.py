"""Signed heads on a topic of Kafka: copies that whoever holds the database does not hold."""

from contextlib import closing

from consumers.cluster import Cluster
from consumers.connection import Connection
from consumers.producing import Outgoing, Producer, destination_of


def publish_head(connection: Connection, topic: str, ledger_id: str, head: bytes) -> None:
    """Publish a head with the ledger's id as key; it is acknowledged when this returns.

    The topic is made, with one partition, where it is missing. Raises Unreachable, Denied,
    MessageTooLarge or LedgerError.
    """
    with Cluster(connection) as cluster, closing(Producer(connection)) as producer:
        destination = destination_of(cluster, topic, create=True, partitions=1)
        producer.publish(topic, destination, [Outgoing(ledger_id.encode(), head, [])])
