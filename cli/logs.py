"""What a service logs on standard error: JSON lines, or readable ones on a terminal.

Nothing of what is in a touchpoint is logged. What the client libraries log goes the same way,
without tracebacks and without values that might quote a record.
"""

import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import structlog

from cli.output import clean
from cli.progress import say

LIBRARIES = ("kafka", "confluent", "uvicorn", "asyncio")
"""The loggers of the libraries that talk to the world."""
PLAIN_TYPES = (str, int, float, type(None))
NAMING_MODULES = ("kafka.net.connection", "kafka.net.transport", "kafka.structs")
"""What of kafka-python shows itself by a name and an address."""
TEXT_CHARACTERS_MAX = 300
AGAIN_SECONDS = 30.0
"""How often the same may come from a library, which says it at each attempt to reach a broker."""

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")

Event = MutableMapping[str, Any]


@contextmanager
def logging_to_people(*, quiet: bool) -> Iterator[None]:
    """Log on standard error for as long as this lasts; when `quiet`, warnings and worse only."""
    level = logging.WARNING if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _readable if sys.stderr.isatty() else _json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Sayer,
        cache_logger_on_first_use=False,
    )
    handlers = {logging.getLogger(name): _Passing(logging.WARNING) for name in LIBRARIES}
    before = {logger: logger.propagate for logger in handlers}
    for logger, handler in handlers.items():
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, handler in handlers.items():
            logger.removeHandler(handler)
            logger.propagate = before[logger]
        structlog.reset_defaults()


class _Sayer:
    """Writes finished lines to what standard error is at that moment."""

    def __init__(self, *_: object) -> None:
        """Made by structlog, for each logger."""

    def msg(self, line: str) -> None:
        say(line)

    debug = info = warning = error = critical = msg


class _Passing(logging.Handler):
    """Passes on what a library logs, each message once in a while."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, what = time.monotonic(), (record.name, _NUMBER.sub("", str(record.msg)))
        is_due = now >= self._passed.get(what, now)
        if is_due:
            self._passed[what] = now + AGAIN_SECONDS
        return is_due

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else {"error": _named(error)}
        log.log(record.levelno, _text(record), library=record.name.partition(".")[0], **more)


def _text(record: logging.LogRecord) -> str:
    """The message of a library with those of its values that cannot quote a record."""
    message, values = str(_harmless(record.msg)), record.args
    if values and not isinstance(values, Mapping):
        with suppress(TypeError, ValueError):  # such as %d of what is named by its type only
            message = message % tuple(_harmless(value) for value in values)
    return message[:TEXT_CHARACTERS_MAX]


def _harmless(value: object) -> object:
    if isinstance(value, BaseException):
        return _named(value)
    if isinstance(value, PLAIN_TYPES) or type(value).__module__ in NAMING_MODULES:
        return value
    return value.__name__ if isinstance(value, type) else f"<{type(value).__name__}>"


def _named(error: BaseException) -> str:
    """The kind of an error; what it says might quote a record, unless the system says it."""
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__}{said}"


def _json(_: object, __: str, event: Event) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return msgspec.json.encode(first | dict(event), enc_hook=str).decode()


def _readable(_: object, __: str, event: Event) -> str:
    time, level, what = (event.pop(name) for name in ("timestamp", "level", "event"))
    more = "".join(f"  {name}={clean(_joined(value))}" for name, value in event.items())
    mark = "" if level == "info" else f"{level}: "
    return f"{time[11:19]}  {mark}{clean(what)}{more}"


def _joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
