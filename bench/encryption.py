"""What encryption costs: the same touchpoints with and without it, from bytes, and rebuilt."""

import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import islice

import msgspec

from bench.appending import append_sample
from bench.material import Year, new_ledger, received
from bench.measuring import Goal, Line, Note, Result, Run, alternately, compared, rate
from bench.rebuilding import rebuild_rate
from cli.demo_year import benchmark_lines
from ledger.intake import take
from ledger.personal import DIGEST_BYTES, Protected, Vault
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.touchpoint import Touchpoint

COST_GOAL = Goal(2 / 3)
"""It costs less than a third."""
APPENDED, REBUILT = "from bytes, encrypted", "rebuild, encrypted, workers: 1"
APPENDED_CLEAR, REBUILT_CLEAR = "from bytes, in clear", "rebuild, in clear, workers: 1"


class InClear(Vault):
    """A vault that makes tokens to search by, and leaves every value as it came: no key."""

    def protect(self, envelopes: Sequence[Envelope[Touchpoint]]) -> list[Protected | Refused]:
        return [self._as_it_came(envelope) for envelope in envelopes]

    def _as_it_came(self, envelope: Envelope[Touchpoint]) -> Protected | Refused:
        draft = self._draft(envelope)
        if isinstance(draft, Protected | Refused):
            return draft
        digest = hashlib.sha256(draft.content).digest()[:DIGEST_BYTES]
        stored = msgspec.structs.replace(envelope, subject=draft.subject, data=draft.data)
        return Protected(stored, digest, draft.tokens)


class _Log:
    """One of two ledgers that take in the same touchpoints, a sample a round."""

    def __init__(self, year: Year, name: str, rounds: int) -> None:
        self.ledger = new_ledger(year.place.address(name))
        self._sample = append_sample(year.size.touchpoints)
        self._lines = benchmark_lines(year.size.customers, self._sample * rounds)

    def append_rate(self) -> float:
        lines = list(islice(self._lines, self._sample))
        return rate(len(lines), partial(take, self.ledger, received(lines)))


def compare_encryption(year: Year, rounds: int, note: Note) -> list[Result]:
    """Appending from bytes and rebuilding, with encryption on and off, in ledgers of their own."""
    ours, clear = (_Log(year, name, rounds) for name in ("encrypted", "clear"))
    clear.ledger.vault = InClear(clear.ledger.keyring, clear.ledger.keys.token)
    appending: dict[str, Run] = {APPENDED: ours.append_rate, APPENDED_CLEAR: clear.append_rate}
    figures = alternately(appending, rounds, note)
    year.place.settle()
    rebuilding: dict[str, Run] = {
        REBUILT: partial(rebuild_rate, ours.ledger, 1),
        REBUILT_CLEAR: partial(rebuild_rate, clear.ledger, 1),
    }
    figures |= alternately(rebuilding, rounds, note)
    for log in (ours, clear):
        log.ledger.close()
    return [
        compared(APPENDED, APPENDED, Line((APPENDED_CLEAR,), COST_GOAL), figures),
        compared(REBUILT, REBUILT, Line((REBUILT_CLEAR,), COST_GOAL), figures),
    ]
