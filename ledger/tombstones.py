"""Tombstones: erasures of which the keys know, and the ledger does not.

So it is where a copy of the log from before an erasure is put beside the keys of today. What was
encrypted for the person stays closed; the tokens by which he was found, and what quarantine holds
of him under a key of its own, are taken out again, as the erasure had done.
"""

from ledger.erasure import purge_tokens
from ledger.errors import Locked
from ledger.ledger import Ledger
from ledger.quarantine import DISCARDED
from ledger.redaction import erased_among
from ledger.store import Cursor
from ledger.traces import Traces

CERTIFICATE = "keys"
"""Stands for the certificate of an erasure that only the keys know of."""


def heed_tombstones(ledger: Ledger) -> None:
    """Bring a ledger to the state of the erasures that only its keys know of.

    Of quarantine goes what names one of the subjects, or an address or number with which the
    ledger has seen one; their names cannot be read any more, so that what has only a name stays.
    One that holds nothing yet is left empty: something may be restored there. Raises LedgerError
    when the ledger cannot be written; then nothing is changed.
    """
    unrecorded = dict(ledger.keyring.unrecorded())
    if not unrecorded or _is_empty(ledger):
        return
    with ledger.store.cursor(write=True) as cursor:
        cursor.be_thorough()
        missing = sorted(unrecorded.keys() - erased_among(unrecorded, cursor))
        rows = [(subject, CERTIFICATE, unrecorded[subject]) for subject in missing]
        if not missing:  # another process was first
            return
        cursor.insert_rows("erased_subjects", rows)
        _discard_traces(ledger, missing, cursor)
        purge_tokens(missing, cursor)
    try:
        ledger.store.scrub()
    except Locked:  # by somebody who reads: it is out of use, and overwritten soon
        return


def _is_empty(ledger: Ledger) -> bool:
    with ledger.store.cursor() as cursor:
        (head,) = cursor.execute("SELECT position FROM head").fetchone()
        return not head and not ledger.quarantine.entries(cursor, None, 1)


def _discard_traces(ledger: Ledger, subjects: list[str], cursor: Cursor) -> None:
    tokens = cursor.execute(
        f"SELECT token FROM search_tokens WHERE subject {cursor.AMONG}",
        (cursor.listed(subjects),),
    ).fetchall()
    traces = Traces.of(ledger.vault, subjects, (token for (token,) in tokens), ())
    now = ledger.log.clock()
    for entry, is_there in traces.in_entries(ledger.quarantine, cursor):
        if is_there:
            ledger.quarantine.settle(entry, DISCARDED, f"erased: {CERTIFICATE}", now, cursor)
