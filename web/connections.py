"""Connections: what a server allows a client before a request is there to be judged.

The library under us waits for headers for as long as they take, reads on for ever what it has
answered already, and waits for ever for a client that does not read. Whoever holds many
connections so would keep others out.
"""

from asyncio import BaseTransport, TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from web.problems import Problem

HEADERS_BYTES_MAX = 65_536
FRAME_BYTES_MAX = 16
"""Of what frames a byte of a body, on the whole: lengths of chunks, and what may stand beside."""
PIPELINED_MAX = 100
"""Requests that may wait for the one before them. The library under us takes any number."""
LINGER_SECONDS = 5.0
"""How long the rest of a body is passed over behind its answer, so that the answer is read; and
how long the last answer of a connection may take to be read."""


def protocol_within(header_seconds: float, answer_seconds: float) -> type[HttpToolsProtocol]:
    """The protocol of connections whose headers have to be there in so many seconds, and each
    further part of whose answers has to be read in so many."""
    times = {"header_seconds": header_seconds, "answer_seconds": answer_seconds}
    return type("Timed", (_Timed,), times)


class _Timed(HttpToolsProtocol):
    header_seconds: float
    answer_seconds: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._spare_bytes = HEADERS_BYTES_MAX
        self._in_headers = True
        self._in_body = False
        self._is_over = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Transport, transport))
        self._wait(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over or self.transport.is_closing():
            return
        self._spare_bytes -= len(data)
        super().data_received(data)
        if self._is_over or self.transport.is_closing():
            return
        if self._spare_bytes < 0 and (self._in_headers or self._in_body):
            self._refuse(_TOO_LARGE)
        elif self._waiting is None and self._is_idle:
            # Empty lines between requests begin none, and have stopped the library's clock.
            self._wait(self.timeout_keep_alive)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = self._in_body = True
        self._spare_bytes = HEADERS_BYTES_MAX
        self._wait(self.header_seconds)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        if len(self.pipeline) >= PIPELINED_MAX:
            raise _TooMany  # it ends the reading of what is in hand
        super().on_headers_complete()
        self._in_headers = False

    def on_body(self, body: bytes) -> None:
        self._spare_bytes += len(body) * (1 + FRAME_BYTES_MAX)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self._in_body and self.cycle.response_complete:
            self._wait(LINGER_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Told by the library of what is no HTTP."""
        self._refuse(_NO_HTTP)

    def timeout_keep_alive_handler(self) -> None:
        """Told by the library when the next request does not come."""
        self._close()

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _is_idle(self) -> bool:
        return self._is_answered and not self._in_headers and not self._in_body

    def _refuse(self, problem: Problem) -> None:
        """Say why and hang up; requests that came whole before are answered first."""
        is_of_request = self._in_body and not self._in_headers
        if not (self._is_answered or is_of_request):
            self._is_over = True
            self._stop_waiting()
            self.cycle.keep_alive = False
            return
        if self._is_answered or not (self.pipeline or self.cycle.response_started):
            self.transport.write(written(problem))
        self._close()

    def _close(self) -> None:
        """Hang up; who does not read what is left is not waited for."""
        self._stop_waiting()
        self.transport.close()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(seconds, self._close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class _TooMany(Exception):
    """More requests at once than anybody sends who waits for their answers."""


_TOO_LARGE = Problem(
    431, "headers_too_large", f"the headers are larger than {HEADERS_BYTES_MAX:,} bytes"
)
_NO_HTTP = Problem(400, "http_invalid", "this is no HTTP/1.1 request")


def written(problem: Problem) -> bytes:
    """A whole answer that ends the connection."""
    answer = problem.response()
    answer.headers["Connection"] = "close"
    lines = [b"HTTP/1.1 %d %s" % (problem.status, problem.title.encode())]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
