"""Access: who may do what, and the tokens by which a door knows who asks.

A secret is 32 random bytes. The ledger keeps its SHA-256 alone: a slow hash protects secrets that
people choose and others can guess, and there is nothing to guess in 256 random bits.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from ledger.cloudevents import structured
from ledger.errors import Denied, LedgerError
from ledger.quarantine import Headers, Item, Received
from ledger.record import GOVERNING
from ledger.stating import SOURCE
from ledger.store import Cursor, Store
from schemas.cost import CostRecorded
from schemas.door import Refused, parse
from schemas.identity import CustomerLinked
from schemas.loyalty import PointsAdjusted, PointsRedeemed, PointsRedemptionCancelled
from schemas.privacy import PersonalDataViewed, PersonErased

SECRET_PREFIX = "tst_"  # noqa: S105 - by which people and scanners see what has leaked
SECRET_BYTES = 32
ID_BYTES = 6
ANY_SOURCE = "*"
OWNER = "owner"
"""The role of whoever holds the key file, and has come without a token."""
NOT_ALLOWED = "not_allowed"
"""The reason of what a token had no right to report."""
ONLY_STATED = frozenset({PersonErased.TYPE, PersonalDataViewed.TYPE})
"""What only Touchstone itself says, once it has done it."""


class Right(StrEnum):
    """Something that may be done; the text says it to people."""

    APPEND = "append touchpoints"
    SPEND = "spend points"
    READ = "read views"
    OPERATE = "operate the ledger"
    AUDIT = "read the log, and who looked at what"
    REVEAL = "see personal data"
    PRIVACY = "export and erase a person"
    OWN = "do what is the owner's"


ROLES: dict[str, frozenset[Right]] = {
    "emitter": frozenset({Right.APPEND}),
    "cashier": frozenset({Right.APPEND, Right.SPEND}),
    "analyst": frozenset({Right.READ}),
    "operator": frozenset({Right.APPEND, Right.SPEND, Right.READ, Right.OPERATE}),
    "auditor": frozenset({Right.READ, Right.AUDIT, Right.REVEAL}),
    "privacy_officer": frozenset({Right.READ, Right.AUDIT, Right.REVEAL, Right.PRIVACY}),
}
"""What each role may do. docs/SECURITY.md shows the same table, and a test compares the two.

An emitter redeems nothing, since its secret may stand in a page that anybody can read.
"""

_BEARING = (Right.OPERATE, Right.PRIVACY)
_FOR_OPERATORS = GOVERNING - {CustomerLinked.TYPE, CostRecorded.TYPE}
"""What bears on other facts. A link is held to the identity rules, and is any source's to know; a
cost is no contact, and bears on nothing."""


_FOR_CASHIERS = frozenset(
    {PointsAdjusted.TYPE, PointsRedeemed.TYPE, PointsRedemptionCancelled.TYPE}
)
"""What gives or takes points by itself; whose secret stands in a page may not say it."""


class NameTaken(LedgerError):
    """Another token that still counts has this name."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and as what; `source` is the one he may report for, or ANY_SOURCE."""

    id: str
    name: str
    role: str
    source: str

    def may(self, right: Right) -> bool:
        """Whether the role has this right; the owner has every right."""
        return self.role == OWNER or right in ROLES.get(self.role, frozenset())

    def need(self, *rights: Right) -> None:
        """Raises Denied, naming the roles that will do, unless one of the rights is there."""
        if any(self.may(right) for right in rights):
            return
        wanted = ", or to ".join(right.value for right in rights)
        raise Denied(
            f"a token of the role {self.role} gives no right to {wanted}: "
            f"{_in_words(roles_with(rights))}"
        )

    def screened(self, items: Iterable[Item]) -> Iterable[Item]:
        """What comes through a door; what the token has no right to report is refused, and kept."""
        return items if self.role == OWNER else map(self._screened, items)

    def _screened(self, item: Item) -> Item:
        if isinstance(item, Received) and isinstance(item.raw, bytes):
            claim = _claim_in(item.raw, item.headers)
            refused = self._refused(claim) if claim is not None else None
            if refused is not None:
                return item, refused
        return item

    def _refused(self, claim: "_Claim") -> Refused | None:
        """Why the token may not report this; None if it may."""
        if claim.type in ONLY_STATED:
            return Refused(NOT_ALLOWED, "type", "only Touchstone itself says this")
        if claim.source == SOURCE:
            return Refused(NOT_ALLOWED, "source", "no token may report for Touchstone itself")
        if claim.type in _FOR_OPERATORS and not any(map(self.may, _BEARING)):
            return Refused(
                NOT_ALLOWED,
                "type",
                f"it bears on other facts: {_in_words(roles_with(_BEARING))}",
            )
        if claim.type in _FOR_CASHIERS and not self.may(Right.SPEND):
            return Refused(
                NOT_ALLOWED,
                "type",
                f"it gives or takes points: {_in_words(roles_with((Right.SPEND,)))}",
            )
        if self.source not in (ANY_SOURCE, claim.source):
            return Refused(
                NOT_ALLOWED, "source", f"the token may report for the source {self.source} only"
            )
        return None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret. Times are in microseconds since 1970."""

    id: str
    name: str
    role: str
    source: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    def state(self, now: int) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


_COLUMNS = "id, name, role, source, created_at, expires_at, revoked_at"


def authenticate(secret: str, store: Store, now: int) -> Access:
    """Who comes with this secret. Raises Denied when nobody does, or not any more.

    The digest is looked up, not the secret: what the time of that tells of a digest says nothing
    of any secret. What is found is compared in constant time all the same.
    """
    digest = _digest(secret)
    with store.cursor() as cursor:
        row = cursor.execute(
            f"SELECT digest, {_COLUMNS} FROM access_tokens WHERE digest = ?", (digest,)
        ).fetchone()
    if row is None or not hmac.compare_digest(bytes(row[0]), digest):
        raise Denied("the token is not known to this ledger: ask its owner for another")
    token = _token(row[1:])
    if (state := token.state(now)) != "valid":
        raise Denied(f"the token {token.id} is {state}: ask the owner of the ledger for another")
    return Access(token.id, token.name, token.role, token.source)


def create_token(
    store: Store,
    now: int,
    *,
    role: str,
    source: str,
    name: str | None = None,
    expires_at: int | None = None,
) -> tuple[str, Token]:
    """Make a token; returns its secret, which is kept nowhere, and what is kept of it.

    Raises NameTaken: looks at personal data are recorded under the name, so that two people
    must not share one. KeyError for an unknown role.
    """
    if role not in ROLES:
        raise KeyError(role)
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    id_ = secrets.token_hex(ID_BYTES)
    token = Token(
        id=id_, name=name or f"{role}-{id_}", role=role, source=source,
        created_at=now, expires_at=expires_at, revoked_at=None,
    )  # fmt: skip
    with store.cursor(write=True) as cursor:
        if any(t.name == token.name and t.state(now) == "valid" for t in _all(cursor)):
            raise NameTaken(f"another token has the name {token.name}: revoke that, or name this")
        cursor.execute(
            "INSERT INTO access_tokens (id, name, role, source, digest, created_at, expires_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (id_, token.name, role, source, _digest(secret), now, expires_at),
        )
    return secret, token


def all_tokens(store: Store) -> list[Token]:
    """Every token that was ever made, oldest first."""
    with store.cursor() as cursor:
        return _all(cursor)


def revoke_token(store: Store, id_: str, now: int) -> Token | None:
    """Let a token count no more; None when there is none. What was revoked stays as it was."""
    with store.cursor(write=True) as cursor:
        cursor.execute(
            "UPDATE access_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
            (now, id_),
        )
        row = cursor.execute(
            f"SELECT {_COLUMNS} FROM access_tokens WHERE id = ?", (id_,)
        ).fetchone()
    return _token(row) if row else None


def roles_with(rights: Iterable[Right]) -> list[str]:
    """The roles that have one of these rights."""
    wanted = frozenset(rights)
    return [role for role, its in ROLES.items() if its & wanted]


def _in_words(roles: list[str]) -> str:
    if not roles:
        return "that takes the owner of the ledger, without a token"
    *others, last = roles
    return "that takes the role " + (f"{', '.join(others)} or {last}" if others else last)


def _all(cursor: Cursor) -> list[Token]:
    rows = cursor.execute(f"SELECT {_COLUMNS} FROM access_tokens ORDER BY created_at, id")
    return [_token(row) for row in rows]


def _token(row: Iterable[Any]) -> Token:
    return Token(**dict(zip(_COLUMNS.split(", "), row, strict=True)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class _Claim(msgspec.Struct):
    source: str
    type: str = ""


_claim = msgspec.json.Decoder(_Claim).decode


def _claim_in(raw: bytes, headers: Headers) -> _Claim | None:
    """The source and the type that a touchpoint names; None where the door will refuse it.

    They may stand in what came beside the bytes, so it is read as the intake reads it. What
    cannot be read at a glance is read as the door reads it, which of two values under one name
    takes the last, whatever the first was.
    """
    try:
        raw = structured(raw, headers)
    except Refused:
        return None
    try:
        return _claim(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        envelope = parse(raw)
    except Refused:
        return None
    return _Claim(envelope.source, envelope.type)
