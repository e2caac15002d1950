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


class NotEmpty(LedgerError):
    """There is a ledger already where one is to be restored."""


class BackupUnusable(LedgerError):
    """A file is not the backup that it should be, or not any more."""


class Unreachable(LedgerError):
    """A server that is needed does not answer; what was under way may or may not be done."""


class Denied(LedgerError):
    """The server knows who asks, or does not, and does not let him."""
