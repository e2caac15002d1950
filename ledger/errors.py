"""What can go wrong with a ledger, in words for the person who has to mend it."""


class LedgerError(Exception):
    """Something that the person at the command line can do something about."""


class NotInitialised(LedgerError):
    """There is no ledger at this place yet."""


class SchemaMismatch(LedgerError):
    """The ledger was made by an older or newer version of Touchstone."""


class Locked(LedgerError):
    """Somebody else is at work here."""


class TrackingConflict(LedgerError):
    """A caller expected another position of its source than the ledger holds."""


class BadAddress(LedgerError):
    """That is not where a ledger can be."""


class NothingEarlier(LedgerError):
    """There is no earlier state to go back to."""


class KeysMissing(LedgerError):
    """The keys of this ledger are not where they were expected."""
