"""What can go wrong between Kafka and the ledger, in words for the person who has to mend it."""

from ledger.errors import LedgerError, Unreachable


class TopicMissing(LedgerError):
    """There is no such topic."""


class TopicRenewed(LedgerError):
    """A topic was deleted, or created again, while its end was to be reached."""


class OutOfRange(Unreachable):
    """A client was to read where the broker has nothing; where to, it has to be told again."""


class OffsetsLost(LedgerError):
    """Records that were not read yet are gone from a topic, or an end that was read is."""


class Fenced(LedgerError):
    """Another consumer has taken over what this one held."""


class ClientMissing(LedgerError):
    """The client library that was asked for is not installed."""
