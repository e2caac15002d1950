"""The errors of kafka-python in our words: what passes by waiting, and what does not."""

import pytest
from kafka import errors as kafka_errors

from consumers.kafka_python import in_our_words
from ledger.errors import LedgerError, Unreachable


@pytest.mark.parametrize(
    "error",
    [
        kafka_errors.NodeNotReadyError,
        kafka_errors.BrokerNotAvailableError,
        kafka_errors.UnknownBrokerIdError,
    ],
)
def test_a_broker_that_is_away_is_waited_for(error: type[Exception]) -> None:
    with pytest.raises(Unreachable, match=error.__name__), in_our_words():
        raise error


def test_what_no_waiting_mends_is_told() -> None:
    with pytest.raises(LedgerError) as told, in_our_words():
        raise kafka_errors.InvalidTopicError
    assert not isinstance(told.value, Unreachable)
