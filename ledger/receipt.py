"""What a door answers: how many came, and what became of them."""

import msgspec


class Receipt(msgspec.Struct, kw_only=True):
    """Counts of touchpoints; `head` is the ledger's last position when it was written.

    Always: received = recorded + duplicate + conflict + quarantined.
    """

    received: int = 0
    recorded: int = 0
    duplicate: int = 0
    conflict: int = 0
    quarantined: int = 0
    head: int = 0

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(
            received=self.received + other.received,
            recorded=self.recorded + other.recorded,
            duplicate=self.duplicate + other.duplicate,
            conflict=self.conflict + other.conflict,
            quarantined=self.quarantined + other.quarantined,
            head=max(self.head, other.head),
        )

    @property
    def complete(self) -> bool:
        """Whether everything that came is in the log."""
        return not (self.conflict or self.quarantined)
