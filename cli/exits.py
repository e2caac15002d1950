"""Exit codes: a contract that scripts rely on (extend it, never change it)."""

import sqlite3

from consumers.errors import ClientMissing, Fenced, OffsetsLost, TopicMissing, TopicRenewed
from ledger.access import NameTaken
from ledger.correcting import NotVoided
from ledger.decisions import IdTaken
from ledger.erasure import Changed
from ledger.errors import (
    BackupUnusable,
    BadAddress,
    Denied,
    KeysMissing,
    LedgerError,
    Locked,
    NotEmpty,
    NothingEarlier,
    NotInitialised,
    SchemaMismatch,
    TrackingConflict,
    Unreachable,
)
from ledger.joining import NotParted
from ledger.seals.heads import Unusable
from ledger.seals.kept import Damaged
from ledger.seals.proving import Unsealed
from schemas.door import Refused

DONE = 0
FAILED = 1
USAGE = 2
PARTLY = 3
NOT_FOUND = 4
VERIFICATION_FAILED = 5
CONFLICT = 6
UNREACHABLE = 7
LOCKED = 8
DENIED = 9
NOT_INITIALISED = 10
SCHEMA_MISMATCH = 11
SIGNAL_BASE = 128
"""130 after SIGINT, 143 after SIGTERM."""

_OF_ERRORS: tuple[tuple[type[Exception], int], ...] = (
    (NotInitialised, NOT_INITIALISED),
    (SchemaMismatch, SCHEMA_MISMATCH),
    (Locked, LOCKED),
    (NothingEarlier, NOT_FOUND),
    (TopicMissing, NOT_FOUND),
    (TopicRenewed, NOT_FOUND),
    (ClientMissing, USAGE),
    (BadAddress, USAGE),
    (TrackingConflict, CONFLICT),
    (IdTaken, CONFLICT),
    (NameTaken, CONFLICT),
    (NotParted, CONFLICT),
    (NotVoided, CONFLICT),
    (Changed, CONFLICT),
    (NotEmpty, CONFLICT),
    (Fenced, CONFLICT),
    (OffsetsLost, FAILED),
    (BackupUnusable, VERIFICATION_FAILED),
    (Damaged, VERIFICATION_FAILED),
    (Unusable, VERIFICATION_FAILED),
    (Unsealed, NOT_FOUND),
    (KeysMissing, DENIED),
    (Denied, DENIED),
    (Unreachable, UNREACHABLE),
    (Refused, USAGE),
    (LedgerError, FAILED),
    (OSError, FAILED),
)


class NotFound(Exception):
    """What was asked for is not there."""


def code_of(error: Exception) -> int | None:
    """The exit code of an error that people can do something about; None for any other."""
    if isinstance(error, NotFound):
        return NOT_FOUND
    known = next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), None)
    if known is None and isinstance(error.__cause__ or error, sqlite3.Error):
        return FAILED  # the store itself fails, perhaps in the words of a library
    return known
