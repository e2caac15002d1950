"""An appender: a process beside a door, which encrypts and appends what the door has parsed.

One interpreter runs on one core at a time. A door that did all of it would make its clients wait
for keys and ciphers, and those wait for clients. Here the door goes on reading meanwhile; what
takes no key is done there, and what comes over is done in groups, in the order of their coming.

A caller is answered once its group is durable, so whichever of the two is killed, nothing that was
acknowledged is lost; what was not is sent again by its client, and recorded once.
"""

import multiprocessing
import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from ledger.address import Address
from ledger.errors import LedgerError, Locked, Unreachable
from ledger.faults import note_fault
from ledger.frames import read_answer, read_group, write_answer, write_group
from ledger.intake import Group, append, closed, read
from ledger.ledger import Ledger, open_ledger
from ledger.log import Outcome
from ledger.receipt import Receipt
from ledger.working import STOPPING, collect_seldom, end_with_parent, held_back

LANES = 3
"""Groups at the same time: one is on its way, one is encrypted or written, one is committed."""
ANSWER_SECONDS = 240
"""In which a group has to be answered, before the process is given up. It may wait for a writer
in another process for a minute, after the group before it has."""
START_SECONDS = 30.0
END_SECONDS = 10.0
"""In which the groups in hand have to end, before the process is ended."""


class Appender:
    """A ledger's appender; to be called by any thread, and closed. It is started again when it was
    ended from outside."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._changing = threading.Lock()
        self._process: _Process | None = None
        self._is_closed = False

    def __enter__(self) -> "Appender":
        """Start it. Raises LedgerError when it cannot open the ledger."""
        self._running()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process when the groups in hand are durable; there will be no other."""
        with self._changing:
            self._is_closed = True
            process, self._process = self._process, None
        if process is not None:
            process.end()

    def append(
        self, group: Group, *, written: Callable[[], None] | None = None
    ) -> tuple[Receipt, list[Outcome]]:
        """See `ledger.intake.Append`. `written` is called when the group is on its way.

        Raises Unreachable when the process was ended from outside or does not answer: whether the
        group was recorded is not known then.
        """
        if any(not isinstance(received.raw, bytes) for received, _ in group):
            return append(self._ledger, group, written=written)  # a file stays where it is
        frame = write_group(read(group, self._ledger.log.clock()))
        process = self._running()
        try:
            answer = process.ask(frame, written)
        except BaseException as error:
            self._give_up(process)
            if isinstance(error, EOFError | OSError):
                raise Unreachable("the process that appends has ended, or is silent") from None
            raise
        if isinstance(answer, Exception):
            raise answer
        return read_answer(answer)

    def _running(self) -> "_Process":
        with self._changing:
            if self._is_closed:
                raise Unreachable("the process that appends was closed")
            if self._process is None:
                try:
                    self._process = _Process(self._ledger.address)
                except OSError as error:  # too many files or processes, say
                    raise Unreachable("no process that appends can be started") from error
            return self._process

    def _give_up(self, process: "_Process") -> None:
        """Let the next call start another, unless that was done."""
        with self._changing:
            if self._process is not process:
                return
            self._process = None
        process.kill()


class _Process:
    """One process, from its start to its end, and the lanes to it."""

    def __init__(self, address: Address) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(LANES)]
        theirs = [there for _, there in pairs]
        self._process = context.Process(target=_run, args=(address, theirs), name="appender")
        with held_back(STOPPING):  # it ends with us, and not before
            self._process.start()
        for lane in theirs:
            lane.close()
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for lane, _ in pairs:
            _limit(lane)
        self._await(pairs[0][0])
        for lane, _ in pairs:
            self._free.put(lane)

    def _await(self, lane: Connection) -> None:
        """Until it has opened the ledger."""
        refusal: Exception | None = Unreachable("the process that appends did not start")
        with suppress(EOFError, OSError):
            if lane.poll(START_SECONDS):
                refusal = lane.recv()
        if refusal is not None:
            self.kill()
            raise refusal

    def ask(self, frame: bytes, written: Callable[[], None] | None) -> bytes | Exception:
        """The answer to a group. Raises EOFError or OSError when the process has ended, or does
        not answer. After any error the lane is closed: the next would get this one's answer."""
        lane = self._free.get()
        try:
            lane.send_bytes(frame)
            if written is not None:
                written()
            answer: bytes | Exception = lane.recv()
            return answer
        except BaseException:
            lane.close()
            raise
        finally:
            self._free.put(lane)

    def end(self) -> None:
        """Close each lane when its group is answered; the end of all is the end of the process."""
        with suppress(queue.Empty):  # it waits for whoever else is at work in the ledger
            self._close([self._free.get(timeout=END_SECONDS) for _ in range(LANES)])
            self._process.join(END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it now, if it has not ended; what it had in hand is rolled back.

        Whoever waits for an answer is told so, and closes his lane himself.
        """
        self._process.kill()
        self._process.join()
        self._process.close()
        idle = []
        with suppress(queue.Empty):
            while True:
                idle.append(self._free.get_nowait())
        self._close(idle)

    def _close(self, lanes: Sequence[Connection]) -> None:
        """Close them, and leave them for who comes too late, and would wait for one."""
        for lane in lanes:
            lane.close()
            self._free.put(lane)


def _limit(lane: Connection) -> None:
    """Let nobody wait for ever on it: after a time, to send or to receive raises OSError."""
    with socket.socket(fileno=os.dup(lane.fileno())) as end:
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", ANSWER_SECONDS, 0))


def _run(address: Address, lanes: Sequence[Connection]) -> None:
    """What the process does: answer groups on each lane until all of them are closed."""
    end_with_parent()
    with suppress(OSError):  # who has started this has ended
        try:
            ledger = open_ledger(address)
        except Exception as error:  # noqa: BLE001 - it is raised to who has started this
            lanes[0].send(_told(error))
            return
        lanes[0].send(None)
        with ledger:
            collect_seldom()
            turns = _Turns()
            threads = [threading.Thread(target=_serve, args=(ledger, ln, turns)) for ln in lanes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def _serve(ledger: Ledger, lane: Connection, turns: "_Turns") -> None:
    with lane, suppress(EOFError, OSError):  # who has started this closes the lane, or has ended
        while True:
            frame = lane.recv_bytes()
            lane.send(_answer(ledger, frame, turns.next()))


class _Turns:
    """Turns at the interpreter: one thread at a time has it, until it waits for the disk.

    `error` is what made a group fail as the ledger was away or in use, and `failed` when that was:
    who has waited for his turn since before that fails with it, or each would wait as long again.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.error: LedgerError | None = None
        self.failed = 0.0

    def next(self) -> "_Turn":
        """The next turn, when it comes."""
        came = time.monotonic()
        self.lock.acquire()
        return _Turn(self, self.error if self.failed > came else None)


class _Turn:
    """One thread's turn; others begin when it is passed on."""

    def __init__(self, turns: _Turns, error: LedgerError | None) -> None:
        self._turns = turns
        self._is_over = False
        self.error = error

    def fail(self, error: LedgerError) -> None:
        """Let those who wait fail as well."""
        self._turns.error, self._turns.failed = error, time.monotonic()

    def pass_on(self) -> None:
        """May be called again."""
        if not self._is_over:
            self._is_over = True
            self._turns.lock.release()


def _answer(ledger: Ledger, frame: bytes, turn: _Turn) -> bytes | Exception:
    try:
        if turn.error is not None:
            return turn.error
        appended = ledger.log.append(closed(ledger, read_group(frame)), written=turn.pass_on)
        return write_answer(appended.receipt, appended.outcomes)
    except Exception as error:  # noqa: BLE001 - it is raised to whom it belongs
        told = _told(error)
        if isinstance(told, Unreachable | Locked):
            turn.fail(told)
        return told
    finally:
        turn.pass_on()


def _told(error: Exception) -> Exception:
    """The error as it goes to the other process: what is none of ours may not bear the way."""
    told = error if isinstance(error, LedgerError) else RuntimeError(type(error).__name__)
    note_fault(told, error)
    return told
