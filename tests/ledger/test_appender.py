"""An appender: another process does what this one would do, and what ends one of them is borne."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from multiprocessing import Pipe
from typing import Any

import pytest

from ledger.address import Address
from ledger.appender import LANES, Appender, _answer, _Turns
from ledger.erasure import erase, plan_erasure
from ledger.errors import KeysMissing, Locked, Unreachable
from ledger.faults import fault_of
from ledger.frames import write_group
from ledger.intake import read
from ledger.ledger import Ledger, open_ledger
from ledger.log import Quarantined, system_clock
from ledger.personal import REDACTED
from ledger.quarantine import Received
from ledger.record import Duplicate, Recorded
from ledger.regions import REGION
from schemas.door import Refused
from schemas.fields import rfc3339
from schemas.replay import decode
from tests.crash.launching import spawned, wait_until
from tests.ledger.sending import HOUR, NOW, line, order, orders, positions, send, waiting

KILLS = 3


@pytest.fixture
def appender(ledger: Ledger) -> Iterator[Appender]:
    with Appender(ledger) as started:
        yield started


def came(*events: Any) -> list[tuple[Received, Refused | None]]:
    return [(Received(e if isinstance(e, bytes) else line(e), "http"), None) for e in events]


def appenders() -> list[int]:
    return spawned(os.getpid())


def test_what_becomes_of_a_group_is_what_would_become_of_it_here(
    ledger: Ledger, appender: Appender
) -> None:
    send(ledger, order("known"), order("taken"))
    receipt, outcomes = appender.append(
        [
            *came(order("new"), order("known"), order("taken", subject="customer:7"), b"{"),
            *came(order("mail", subject="email:ana@example.com")),
            (Received(b"no", "http", {"item": 5}, (("a", b"b"),)), Refused("no", "p", "why")),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [
        Recorded, Duplicate, Quarantined, Quarantined, Recorded, Quarantined,
    ]  # fmt: skip
    assert (receipt.received, receipt.recorded, receipt.duplicate) == (6, 2, 1)
    assert (receipt.conflict, receipt.quarantined, receipt.head) == (1, 2, 4)
    conflict, broken, refused = waiting(ledger)
    assert (conflict.reason, broken.path, refused.reason) == ("conflict", "", "no")
    with ledger.store.cursor() as cursor:
        assert ledger.quarantine.received(refused, cursor).headers == [("a", b"b")]
        assert ledger.quarantine.bytes_of(conflict.entry, cursor) == line(
            order("taken", subject="customer:7")
        )


def test_what_it_has_encrypted_is_opened_here(ledger: Ledger, appender: Appender) -> None:
    appender.append(came(order("mail", subject="email:ana@example.com")))
    (stored,) = ledger.log.page(0, 1)
    assert b"ana" not in stored.state
    (envelope,) = ledger.vault.reveal([decode(stored.topic, stored.state)])
    assert envelope.subject == "email:ana@example.com"


def test_who_was_erased_meanwhile_is_not_recorded_although_it_has_his_key(
    ledger: Ledger, appender: Appender
) -> None:
    def described(id_: str) -> list[tuple[Received, Refused | None]]:
        return came(order(id_, type="customer.described.v1", data={"traits": {"name": "Ana"}}))

    appender.append(described("before"))
    assert REDACTED.encode() not in ledger.log.page(0, 1)[0].state
    erase(ledger, plan_erasure(ledger, "customer:42"), "asked for it", "erasure-1")
    appender.append(described("behind"))
    (behind,) = ledger.log.identified("behind", "shop")
    assert REDACTED.encode() in behind.state


def test_a_number_is_read_as_its_region_has_it(ledger: Ledger, appender: Appender) -> None:
    called = order("called", subject="phone:02 1234 5678")
    appender.append([(Received(line(called), "webhook", {REGION: "IT"}), None)])
    (stored,) = ledger.log.page(0, 1)
    found = decode(stored.topic, stored.state).subject
    assert found == ledger.vault.stored_subject("phone:+390212345678")


def test_callers_at_the_same_time_get_receipts_of_their_own(
    ledger: Ledger, appender: Appender
) -> None:
    groups = [orders(range(start, start + 5)) for start in range(0, 50, 5)]
    with ThreadPoolExecutor(2 * LANES) as threads:
        found = list(threads.map(lambda group: appender.append(came(*group)), groups))
    assert [receipt.recorded for receipt, _ in found] == [5] * 10
    assert positions(ledger) == list(range(1, 51))
    told = {outcome.position for _, outcomes in found for outcome in outcomes}  # type: ignore[union-attr]
    assert told == set(range(1, 51))


def test_bytes_that_are_in_a_file_are_kept_whole(ledger: Ledger, appender: Appender) -> None:
    refused = Refused("too_large", "", "too long")
    receipt, _ = appender.append([(Received(BytesIO(b"long"), "http"), refused), *came(order())])
    assert (receipt.recorded, receipt.quarantined) == (1, 1)
    (entry,) = waiting(ledger)
    with ledger.store.cursor() as cursor:
        assert ledger.quarantine.bytes_of(entry.entry, cursor) == b"long"


def test_a_touchpoint_from_tomorrow_is_judged_by_the_clock_of_the_door(
    ledger: Ledger, appender: Appender
) -> None:
    ahead = system_clock() - HOUR  # not so for the other process
    (outcome,) = appender.append(came(order(time=rfc3339(ahead, 0))))[1]
    assert isinstance(outcome, Quarantined)
    assert outcome.refused.reason == "time_ahead"


def test_who_asks_is_told_when_it_is_killed_and_the_next_is_served(
    ledger: Ledger, appender: Appender
) -> None:
    """What was under way is sent again, as a client would; nothing is lost or doubled."""
    done = threading.Event()
    unreachable = 0

    def send_all() -> None:
        nonlocal unreachable
        for number in range(0, 3_000, 20):
            while True:
                try:
                    appender.append(came(*orders(range(number, number + 20))))
                    break
                except Unreachable:
                    unreachable += 1
        done.set()

    sender = threading.Thread(target=send_all)
    sender.start()
    for _ in range(KILLS):
        before = len(positions(ledger))
        wait_until(lambda before=before: done.is_set() or len(positions(ledger)) > before + 100)  # type: ignore[misc]
        for pid in appenders():
            os.kill(pid, signal.SIGKILL)
    sender.join()
    assert unreachable >= 1
    assert positions(ledger) == list(range(1, 3_001))


def test_one_that_does_not_answer_is_given_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.appender.ANSWER_SECONDS", 1)
    large = order("large", data=order()["data"] | {"extra": {"text": "x" * 900_000}})
    with Appender(ledger) as appender:
        for event in (order("small"), large):  # one is taken by the pipe, one is too long for it
            for pid in appenders():
                os.kill(pid, signal.SIGSTOP)
            with pytest.raises(Unreachable):
                appender.append(came(event))
            assert appender.append(came(event))[0].recorded == 1
    assert not appenders()


def open_ends() -> set[str]:
    """The sockets and pipes that this process has open; each has a number of its own."""
    found = set()
    for file in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the folder itself
            found.add(os.readlink(f"/proc/self/fd/{file}"))
    return {name for name in found if name.startswith(("socket:", "pipe:"))}


def test_one_that_was_ended_leaves_nothing_open(file_ledger: Ledger) -> None:
    before = open_ends()  # some of tests before this one may yet be closed
    with Appender(file_ledger) as appender:
        appender.append(came(order()))
        own = len(open_ends() - before)
        for number in range(KILLS):
            for pid in appenders():
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(Unreachable):
                appender.append(came(order(f"lost {number}")))
            appender.append(came(order(f"{number}")))
        assert len(open_ends() - before) == own


def test_a_group_in_hand_is_recorded_before_it_ends(ledger: Ledger) -> None:
    with ThreadPoolExecutor(1) as threads:
        with Appender(ledger) as appender:
            under_way = threading.Event()
            asked = threads.submit(
                appender.append, came(*orders(range(2_000))), written=under_way.set
            )
            assert under_way.wait(60)
        assert asked.result()[0].recorded == 2_000
    with pytest.raises(Unreachable, match="closed"):
        appender.append(came(order()))
    assert not appenders()


def test_who_cannot_open_the_ledger_says_why(address: Address) -> None:
    with open_ledger(address) as ledger:
        address.keys.rename(address.keys.with_suffix(".away"))
        with pytest.raises(KeysMissing, match="key file"):
            Appender(ledger).__enter__()
    assert not appenders()


def failing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error from ValueError("told to nobody")

    monkeypatch.setattr(ledger.log, "append", fail)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Locked("somebody else is at work"), Locked("somebody else is at work")),
        (KeyError("qzcanary"), RuntimeError("KeyError")),
    ],
)
def test_an_error_there_is_raised_here_with_its_place(
    file_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception, told: Exception
) -> None:
    failing(file_ledger, monkeypatch, error)
    turns = _Turns()
    here, there = Pipe()
    there.send(_answer(file_ledger, frame(order()), turns.next()))
    found = here.recv()
    assert repr(found) == repr(told)
    assert fault_of(found).kind == "ValueError"
    assert not turns.lock.locked()


def test_who_waits_for_a_ledger_that_is_away_does_not_wait_for_each_before_him(
    file_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = _Turns()
    first = turns.next()
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(turns.next)
        wait_until(lambda: second.running())
        time.sleep(0.1)  # until it waits for the lock
        with monkeypatch.context() as patch:
            failing(file_ledger, patch, Locked("somebody else is at work"))
            assert isinstance(_answer(file_ledger, frame(order()), first), Locked)
        assert isinstance(_answer(file_ledger, frame(order()), second.result()), Locked)
    assert isinstance(_answer(file_ledger, frame(order()), turns.next()), bytes)


def test_nobody_is_given_the_answer_to_another(ledger: Ledger, appender: Appender) -> None:
    def fail() -> None:
        raise ValueError("a fault of ours")

    for number in range(LANES):
        with pytest.raises(ValueError, match="a fault of ours"):
            appender.append(came(*orders(range(2 * number, 2 * number + 2))), written=fail)
    for _ in range(LANES):
        receipt, _ = appender.append(came(b"{"))
        assert (receipt.received, receipt.quarantined) == (1, 1)


def frame(*events: Any) -> bytes:
    return write_group(read(came(*events), NOW))
