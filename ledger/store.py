"""What the ledger asks of a store: transactions, and the few words in which their SQL differs.

All SQL of the ledger and of the views is written once, with `?` for a parameter. Where the two
databases have no common words, a cursor has them: as a piece of SQL, or as a call.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, Self

from ledger.record import Duplicate, Known, Record, Recorded


class Dialect(NamedTuple):
    """How a database writes what the SQL views for analysts need of JSON and of times.

    Each is a piece of SQL with `{}` for an expression, or for a table.
    """

    rows: str
    """What follows FROM: the rows of a table, whose state is the document `folded.state`."""

    document: str
    """A text of JSON, ready to be looked into with `->` and `->>`."""

    items: str
    """What follows FROM: a row for each item of a document's list; its text is `value`."""

    entries: str
    """What follows FROM: a row for each entry of a document; its texts are `key`, `value`."""

    time: str
    """Microseconds since 1970 as a moment."""

    amount: str
    """A decimal string as a number, if the database has numbers that keep all of it."""

    total: str
    """The sum of decimal strings."""


class Cursor(Protocol):
    """A cursor of one transaction; its rows are plain tuples."""

    @property
    def AMONG(self) -> str:  # noqa: N802 - a piece of SQL, constant for each store
        """What follows a text column that must be one of `listed(values)`."""

    @property
    def OF_STREAMS(self) -> str:  # noqa: N802
        """What follows FROM: the stored events `e` of `listed(streams)`, by their index."""

    @property
    def IDENTIFIED(self) -> str:  # noqa: N802
        """What follows FROM: the stored events `e` of `identities(pairs)`, by their index."""

    @property
    def TEXT(self) -> str:  # noqa: N802
        """The type of a text column that is ordered by its bytes."""

    @property
    def FOR_UPDATE(self) -> str:  # noqa: N802
        """What follows a query whose rows others must not change until this transaction ends."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self: ...
    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...

    def listed(self, values: Iterable[str | int]) -> Any:
        """The parameter that goes with AMONG or OF_STREAMS."""

    def identities(self, pairs: Iterable[tuple[str, str]]) -> Any:
        """The parameter that goes with IDENTIFIED, of pairs of (source, id)."""

    def states_in_range(self, first: str, last: str, until: int) -> list[bytes]:
        """The states of the events, up to a position, of all streams between these two.

        Both streams are included. The states come one or many a piece, joined by commas, in no
        order that means anything.
        """

    def states_of_streams(self, streams: Iterable[str], until: int) -> list[bytes]:
        """The same of these streams."""

    def sealed_rows(self, first: int, last: int) -> list[Any]:
        """What a seal covers of the stored events of these positions, both included, in order.

        Each is a `ledger.seals.leaves.Row`: texts are bytes, as they stand in the store.
        """

    def insert_rows(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, all columns in their order, in bulk."""

    def insert_missing(self, table: str, rows: Sequence[Sequence[str]]) -> None:
        """Insert those rows, all columns of them text, that do not collide with one there."""

    def upsert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows, or write them over those with the same first column, in bulk."""

    def be_impatient(self) -> None:
        """Wait for locks for a moment only in this transaction; then Locked is raised."""

    def be_thorough(self) -> None:
        """What this transaction deletes is overwritten in the file; see `Store.scrub`."""

    def analyze(self, table: str) -> None:
        """Tell the database what a table that was filled in bulk looks like."""

    def lock_table(self, table: str) -> None:
        """Keep other writers from a table until this transaction ends."""

    @property
    def DIALECT(self) -> Dialect:  # noqa: N802
        """The words of views for analysts."""

    def defined_view(self, name: str) -> str | None:
        """The query that an SQL view was made of, as it was written; None without a view."""

    def define_view(self, name: str, query: str) -> None:
        """Make an SQL view, or let the one there show another query.

        Raises LedgerError where views of others that are built on it are in the way.
        """

    def number_on(self, table: str, column: str) -> None:
        """Let the numbers that the store gives go on behind the greatest that is there."""


class Recorder(Protocol):
    """The writer of facts on one store: the library's recorder, with appends by the group."""

    def append(
        self, records: Sequence[Record], now: int, cursor: Any, /
    ) -> list[Recorded | Duplicate | Known]:
        """Record what is new, in order, in the caller's write transaction.

        Returns for each record its position, or what the ledger knows under its `(source, id)`.
        """

    def insert_stored(self, rows: Sequence[Any], cursor: Any, /) -> None:
        """Insert rows of stored_events as they stood in another store (ledger.appending.Row)."""

    def forget_versions(self) -> None:
        """To be called when a transaction with an append in it was rolled back."""

    def move_tracking(self, name: str, position: int, cursor: Any, /) -> None:
        """Advance a reader or a source; the library refuses to go back (IntegrityError)."""


class Listening(Protocol):
    """A session that stays with a ledger: it hears that the log grows, and it holds claims.

    Every call raises Unreachable when the session is lost, and with it all that it claimed.
    """

    def wait(self, seconds: float) -> None:
        """Return when the log may have grown since the last call, or after so long at most."""

    def claim(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that this session holds: now, if nobody else did, or from before.

        A claim is what `Store.exclusively` takes, kept until the session ends.
        """


class Store(Protocol):
    """Connections to one ledger."""

    @property
    def writes_in_parallel(self) -> bool:
        """Whether views may be written by several transactions at the same time."""

    def cursor(
        self, *, write: bool = False, durable: bool = True
    ) -> AbstractContextManager[Cursor]:
        """One transaction: committed at the end when `write`, else rolled back.

        One that reads sees one unchanging picture. One that writes and is `durable` holds the
        writer lock from its start to its end. One that is not durable is for views: it is all
        or nothing as well, but a crash of the machine may take the last of them back, which is
        enough, because a view is folded on from the position that is written with it.
        Raises Locked, Unreachable or LedgerError in words for people.
        """

    def recorder(self) -> Recorder:
        """A writer of facts, with the versions of streams that it remembers."""

    def exclusively(self, name: str) -> AbstractContextManager[None]:
        """Be the only one who does what is called `name` in this ledger.

        Raises Locked when somebody else does it. The claim goes with its process, however that
        ends.
        """

    def listening(self) -> AbstractContextManager[Listening]:
        """A session of its own, for a process that follows the log."""

    def scrub(self) -> None:
        """Remove what deleted rows have left on the disk, as far as that is in our hands.

        Raises Locked when somebody reads it: then it is to be repeated.
        """

    def close(self) -> None:
        """Give all connections back."""
