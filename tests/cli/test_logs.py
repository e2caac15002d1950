"""What a service logs: JSON or readable lines, and nothing of what is in a record."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from kafka import TopicPartition

from cli.logs import AGAIN_SECONDS, logging_to_people

CANARY = b"canary-in-value"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def service(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, quiet: bool = False
) -> Iterator[Any]:
    monkeypatch.setattr(sys, "stderr", stream)
    with logging_to_people(quiet=quiet):
        yield structlog.get_logger("touchstone.test").bind(group="g")


@pytest.fixture
def err() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_is_an_object_that_begins_with_time_level_and_event(
    monkeypatch: pytest.MonkeyPatch, err: io.StringIO
) -> None:
    with service(monkeypatch, err) as log:
        log.info("holds", partitions=["a[0]"], other=TopicPartition)
    (line,) = lines(err)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert (line["level"], line["event"], line["group"]) == ("info", "holds", "g")
    assert line["timestamp"].endswith("Z")


def test_on_a_terminal_a_line_is_for_people_and_cannot_steer_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    with service(monkeypatch, terminal) as log:
        log.warning("waiting", reason="it is\x1b[2J away")
        log.info("holds", partitions=["a[0]", "a[1]"])
    first, second = terminal.getvalue().splitlines()
    assert first[10:] == "warning: waiting  group=g  reason=it is�[2J away"
    assert second[10:] == "holds  group=g  partitions=a[0], a[1]"


def test_quiet_leaves_warnings(monkeypatch: pytest.MonkeyPatch, err: io.StringIO) -> None:
    with service(monkeypatch, err, quiet=True) as log:
        log.info("holds")
        log.warning("waiting")
    assert [line["event"] for line in lines(err)] == ["waiting"]


def test_a_library_is_heard_from_warnings_on_and_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, err: io.StringIO
) -> None:
    library = logging.getLogger("kafka.protocol")
    with service(monkeypatch, err):
        library.info("of no interest")
        library.error("Unable to decode %d-byte buffer: %r", len(CANARY), CANARY)
        library.warning("fetched %s: %s", TopicPartition("orders", 3), {"value": CANARY})
        library.warning("%d is no number here", CANARY)
        library.warning(ValueError(CANARY))
        library.warning("of %s", ConnectionRefusedError(111, "Connection refused"))
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            library.exception("it failed: %s", error)
    found = lines(err)
    assert [line["event"] for line in found] == [
        "Unable to decode 15-byte buffer: '<bytes>'",
        "fetched TopicPartition(topic='orders', partition=3): <dict>",
        "%d is no number here",
        "ValueError",
        "of ConnectionRefusedError: Connection refused",
        "it failed: ValueError",
    ]
    assert {line["library"] for line in found} == {"kafka"}
    assert found[-1]["error"] == "ValueError"
    assert "canary" not in err.getvalue()
    assert "Traceback" not in err.getvalue()


def test_what_a_library_says_at_each_attempt_is_passed_on_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch, err: io.StringIO
) -> None:
    now = [100.0]
    monkeypatch.setattr("cli.logs.time.monotonic", lambda: now[0])
    library = logging.getLogger("kafka.net.manager")
    with service(monkeypatch, err):
        for attempt in range(10):
            library.warning("not ready; waiting %d s", attempt)
            library.warning(f"task 0x{attempt:x}f ran for {attempt}.5 s")
        now[0] += AGAIN_SECONDS
        library.warning("not ready; waiting %d s", 10)
    assert [line["event"] for line in lines(err)] == [
        "not ready; waiting 0 s",
        "task 0x0f ran for 0.5 s",
        "not ready; waiting 10 s",
    ]


def test_afterwards_libraries_are_as_they_were(
    monkeypatch: pytest.MonkeyPatch, err: io.StringIO
) -> None:
    before = list(logging.getLogger("kafka").handlers)
    with service(monkeypatch, err):
        assert logging.getLogger("kafka").handlers != before
    assert logging.getLogger("kafka").handlers == before
    assert logging.getLogger("kafka").propagate
