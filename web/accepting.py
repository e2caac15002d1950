"""Accepting: no more connections at a time than there is room for.

Who finds no descriptor can neither be answered nor open the ledger, and the libraries under us
accept for as long as there are any. So we accept ourselves: what is beyond is told to come back.
A connection counts before it has shaken hands (TLS), and has only so long for that.
"""

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from web.connections import written
from web.problems import come_back

RESERVE_MIN, RESERVE_MAX = 64, 1_024
"""Descriptors that connections leave to the ledger and the files of streams: a quarter of all."""
AT_ONCE = 64
"""Connections that are accepted before others have their turn."""
AGAIN_SECONDS = 0.1
"""After which it is tried again when the machine has no descriptor left."""
TURNED_AWAY_MAX, TURNED_AWAY_SECONDS = 16, 1.0
"""How many of those who are told to come back may finish saying what they want, and for how long:
who hangs up on them may take his answer along."""

Connect = Callable[[socket.socket], Awaitable[Any]]

_BUSY = come_back(503, "busy", "the server has as many connections as it can: try again")


def room_for(wanted: int) -> int:
    """How many connections there may be, of those wanted: as many as leave a reserve of the
    descriptors that this process may open. It is allowed more of them, if that can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVE_MAX
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):  # not every system lets one
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return wanted
    reserve = min(RESERVE_MAX, max(RESERVE_MIN, soft // 4))
    return max(1, min(wanted, soft - reserve))


class Acceptor:
    """Accepts what comes to a socket. For uvicorn it is a server of asyncio, as far as it looks.

    `connect` makes a connection of a socket, `most` is how many there may be, and `refused` is
    called for each one beyond; those are answered where HTTP is spoken in clear.
    """

    def __init__(
        self,
        listens: socket.socket,
        connect: Connect,
        most: int,
        refused: Callable[[], None],
        *,
        is_clear: bool,
    ) -> None:
        self._listens, self._connect = listens, connect
        self._most, self._refused, self._is_clear = most, refused, is_clear
        self._open = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._turned_away: set[socket.socket] = set()
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        listens.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept no more."""
        self._is_closed = True
        self._loop.remove_reader(self._listens.fileno())
        for found in list(self._turned_away):
            self._hang_up(found)

    async def wait_closed(self) -> None:
        """For uvicorn: there is nothing to wait for."""

    def _resume(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listens.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                found, _address = self._listens.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # the whole machine has no descriptor, or no memory, left
                self._loop.remove_reader(self._listens.fileno())
                self._loop.call_later(AGAIN_SECONDS, self._resume)
                return
            found.setblocking(False)
            if self._open >= self._most:
                self._turn_away(found)
                return  # those who are connected have their turn
            self._open += 1
            task = self._loop.create_task(self._connected(_Counted(found, self._left)))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connected(self, found: "_Counted") -> None:
        try:
            await self._connect(found)
        except OSError:  # it has gone, or did not shake hands, and is closed by now
            found.end()

    def _left(self) -> None:
        self._open -= 1

    def _turn_away(self, found: socket.socket) -> None:
        self._refused()
        self._turned_away.add(found)
        with suppress(OSError):  # it has gone already
            if self._is_clear:
                found.send(written(_BUSY))
                found.shutdown(socket.SHUT_WR)
        if self._is_clear and len(self._turned_away) <= TURNED_AWAY_MAX:
            self._loop.call_later(TURNED_AWAY_SECONDS, self._hang_up, found)
        else:
            self._hang_up(found)

    def _hang_up(self, found: socket.socket) -> None:
        self._turned_away.discard(found)
        found.close()


class _Counted(socket.socket):
    """A connection that says when it ends; one loop closes it, the other takes its descriptor."""

    def __init__(self, found: socket.socket, left: Callable[[], None]) -> None:
        super().__init__(found.family, found.type, found.proto, fileno=found.detach())
        self._left: Callable[[], None] | None = left
        self.setblocking(False)

    def close(self) -> None:
        """It has ended."""
        self.end()
        super().close()

    def detach(self) -> int:
        """The same, by whoever closes the descriptor himself."""
        self.end()
        return super().detach()

    def end(self) -> None:
        """Say so, the first time."""
        left, self._left = self._left, None
        if left is not None:
            left()
