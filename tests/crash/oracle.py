"""What must hold of a ledger after anything: the check that every test of faults ends with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ledger.address import Address
from ledger.ledger import Ledger, open_ledger
from ledger.record import Duplicate
from projections.follow import follow
from projections.registry import PROJECTIONS
from projections.verify import verify
from schemas.replay import decode
from tests.crash.doors import FULLEST_GROUP
from tests.crash.launching import Child, Launcher
from tests.crash.loading import Load, head_of
from tests.ledger.sending import assert_dense, send, waiting

FOLLOWED_AT_ONCE = 100_000


@dataclass
class Acknowledged:
    """What processes have acknowledged, and with it where the next one has to begin."""

    load: Load
    path: Path
    positions: dict[bytes, int] = field(default_factory=dict)
    """The position of each line that was acknowledged as being in the log."""
    next: int = 0
    groups: int = 0
    fullest: int = FULLEST_GROUP

    def start(
        self,
        launcher: Launcher,
        address: Address,
        fullest: int = FULLEST_GROUP,
        tuned: Mapping[str, float] | None = None,
    ) -> Child:
        """A process that goes on behind the last acknowledgement, and from the start at the end."""
        if self.next >= len(self.load.lines):
            self.next = 0
        self.fullest = fullest
        arguments = (address.url, str(address.keys), str(self.path), self.next, fullest)
        return launcher.start("take_lines", *arguments, tuned=tuned)

    def note(self, child: Child) -> None:
        """Take in what a process has acknowledged; no group was recorded by half."""
        for told in child.lines():
            assert told["first"] == self.next
            recordable = sum(position is not None for position in told["positions"])
            assert (told["recorded"], told["duplicate"]) in ((recordable, 0), (0, recordable))
            assert told["conflict"] == 0
            assert told["quarantined"] == told["count"] - recordable
            lines = self.load.lines[self.next :]
            for line, position in zip(lines, told["positions"], strict=False):
                if position is not None:
                    assert self.positions.setdefault(line, position) == position
            self.next += told["count"]
            self.groups += 1

    def finish(self, launcher: Launcher, address: Address) -> None:
        """Let one more process, undisturbed, take what is left, in the groups of those before."""
        if self.next < len(self.load.lines):
            child = self.start(launcher, address, self.fullest)
            assert child.wait() == 0, child.err.read_text()
            self.note(child)
        assert self.positions.keys() == {n for n in self.load.lines if not n.startswith(b'{"id":')}


def check(address: Address, acknowledged: Acknowledged) -> None:
    """Everything acknowledged is there once, with its content, and the views are a fresh fold."""
    load = acknowledged.load
    with open_ledger(address) as ledger:
        assert_dense(ledger)
        assert ledger.log.head().position == len(acknowledged.positions) == len(load.ids)
        assert len(waiting(ledger)) == load.broken
        lines = list(acknowledged.positions)
        receipt, outcomes = send(ledger, *lines)
        assert (receipt.duplicate, receipt.recorded) == (len(lines), 0)
        assert outcomes == [Duplicate(position) for position in acknowledged.positions.values()]
        assert names_in(ledger) == load.names
        check_views(ledger)


def check_views(ledger: Ledger) -> None:
    """The views, brought up to date, equal a fresh fold of the whole log."""
    follow(ledger, PROJECTIONS)
    for view in PROJECTIONS:
        found = verify(ledger, view)
        assert (found.name, found.differences) == (view.name, 0)
        assert found.position == ledger.log.head().position


def check_durable(address: Address, acknowledged: Acknowledged) -> None:
    """So far nothing that was acknowledged is missing."""
    assert head_of(address) >= max(acknowledged.positions.values(), default=0)


def names_in(ledger: Ledger) -> dict[str, str]:
    """The personal names as a window shows them: each key was durable before its touchpoint."""
    found: dict[str, str] = {}
    page = ledger.log.page(0, FOLLOWED_AT_ONCE)
    described = [decode(s.topic, s.state) for s in page if s.topic == "customer.described.v1"]
    for envelope in ledger.vault.reveal(described):
        found[envelope.id] = envelope.data.traits.name
    return found
