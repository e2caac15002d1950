"""Personal data: encrypted field by field before it reaches the log, opened only by a window.

Every personal field of a touchpoint is encrypted with AES-256-GCM under a key that is derived
(HKDF, RFC 5869) from its subject's key and the touchpoint's `(source, id)`, so one touchpoint
can be opened for an auditor without the rest. The values of personal subjects (`email:…`) are
replaced by keyed tokens; the originals are kept encrypted under the key of the subject that
they name, so that erasing that subject erases them.
"""

import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.keyring import Keyring, SubjectKey, derived
from schemas.door import Refused
from schemas.encoding import canonical, plain
from schemas.envelope import ORIGINAL_TIME, Envelope
from schemas.fields import CIPHERTEXT_PREFIX, microseconds
from schemas.personal_fields import personal_fields, subject_fields
from schemas.registry import BY_TYPE
from schemas.subject import PERSONAL_KINDS, is_personal, is_token, kind_of, normalise
from schemas.touchpoint import Touchpoint

NONCE_BYTES = 12
TOKEN_BYTES = 16
DIGEST_BYTES = 16
ERASED = "[erased]"
"""What a window shows where the key is gone."""
REDACTED = CIPHERTEXT_PREFIX + "erased"
"""What is recorded in the place of a ciphertext where the subject was erased before: the form of
one, which no key opens."""
NOT_COMPARED = b""
"""The digest of a redacted touchpoint: what it was cannot be told, so that whatever claims the
same `(source, id)` is a duplicate of it, and it of what was recorded before the erasure."""


class Protected(msgspec.Struct, frozen=True, gc=False):
    """A touchpoint as it may be stored: nothing personal in clear.

    `envelope.data` is a plain dict, `digest` tells whether content that claims the same
    `(source, id)` is the same (see NOT_COMPARED), `tokens` are what the subject can be found by.
    `keyed` are the stored subjects under whose keys something in it is encrypted: if one of them
    is erased before it is recorded, `ledger.redaction` takes that out again.
    """

    envelope: Envelope[Any]
    digest: bytes
    tokens: tuple[str, ...] = ()
    keyed: tuple[str, ...] = ()


class Vault:
    """Closes and opens personal data with the keys of a ledger."""

    def __init__(self, keyring: Keyring, token_key: bytes, region: str | None = None) -> None:
        self._keyring = keyring
        self._token_key = token_key
        self._region = region

    def within(self, region: str | None) -> "Vault":
        """The vault for what comes from a region: its phone numbers may have no country code."""
        if region == self._region:
            return self
        return Vault(self._keyring, self._token_key, region)

    def stored_subject(self, subject: str) -> str:
        """The subject as the log knows it. Raises Refused when an address cannot be one."""
        if not is_personal(subject) or is_token(subject):
            return subject
        try:
            clear = normalise(subject, self._region)
        except ValueError as error:
            raise Refused("subject", "subject", str(error)) from None
        digest = hmac.digest(self._token_key, clear.encode(), "sha256")[:TOKEN_BYTES]
        return f"{kind_of(subject)}:~{urlsafe_b64encode(digest).decode().rstrip('=')}"

    def protect(self, envelopes: Sequence[Envelope[Touchpoint]]) -> list[Protected | Refused]:
        """Encrypt what is personal. Keys of new subjects are durable when this returns.

        Of a subject whose key was destroyed everything personal is left out (REDACTED), tokens
        and originals with it, and no key is made.
        """
        drafts = [self._draft(envelope) for envelope in envelopes]
        waiting = [draft for draft in drafts if isinstance(draft, _Draft)]
        subjects = {subject for draft in waiting for subject in draft.subjects_with_secrets()}
        keys = self._keyring.ensure(subjects) if subjects else {}
        return [d.protected(keys) if isinstance(d, _Draft) else d for d in drafts]

    def _draft(self, envelope: Envelope[Touchpoint]) -> "Protected | _Draft | Refused":
        """The touchpoint as far as it can be protected without a key, which most do not need."""
        try:
            return in_clear(envelope) or self._drafted(envelope)
        except Refused as refused:
            return refused

    def _drafted(self, envelope: Envelope[Touchpoint]) -> "_Draft":
        plan = _plan(envelope.type)
        data = plain(envelope.data)
        hidden: list[_Hidden] = []
        subject = self._hide(envelope.subject, "subject", hidden)
        for parent, name, place in _found(data, plan.subjects):
            parent[name] = self._hide(parent[name], place.path, hidden)
        secrets = _found(data, plan.personal)
        tokens = self._searched(secrets) if plan.is_searched else ()
        content = _content(envelope, subject, data, plan.cls)
        return _Draft(envelope, data, subject, hidden, secrets, tokens, content)

    def _searched(self, secrets: Sequence["_Secret"]) -> tuple[str, ...]:
        """The tokens of what can be searched by, where it is well-formed."""
        found = (self._token(p.search, parent[name]) for parent, name, p in secrets if p.search)
        return tuple(token for token in found if token)

    def _hide(self, subject: str, path: str, hidden: list["_Hidden"]) -> str:
        """Replace a personal subject by its token, remembering the original for encryption."""
        try:
            stored = self.stored_subject(subject)
        except Refused as refused:
            raise Refused("subject", path, refused.message) from None
        if stored != subject:
            hidden.append((path, stored, subject.partition(":")[2]))
        return stored

    def _token(self, kind: str, value: str) -> str | None:
        """The token that finds this address or number, or None when it is not well-formed."""
        try:
            return self.stored_subject(f"{kind}:{value}")
        except Refused:
            return None

    def tokens_of(self, values: Iterable[str]) -> tuple[str, ...]:
        """The tokens of those values that are addresses or numbers; what else they are is left."""
        found = (self._token(kind, value) for value in values for kind in PERSONAL_KINDS)
        return tuple(sorted({token for token in found if token}))

    def reveal(self, envelopes: Iterable[Envelope[Touchpoint]]) -> list[Envelope[Any]]:
        """Open what is personal, for a reader who may; `[erased]` where a key is gone.

        The data of the returned envelopes are of their own classes again.
        """
        listed = list(envelopes)
        keys = self._keyring.find(subjects_with_keys(listed))
        return [_revealed(envelope, keys) for envelope in listed]

    def reveal_value(self, ciphertext: str, subject: str, source: str, id: str, path: str) -> Any:  # noqa: A002
        """Open one encrypted field that a view carries (see `reveal`)."""
        key = self._keyring.find([subject]).get(subject)
        return _opened(ciphertext, key, source, id, path)

    def content_key(self) -> bytes:
        """The key of ids that are made of content: without it they would confirm a guess."""
        return derived(self._token_key, b"content")

    def quarantine_key(self) -> bytes:
        """The key under which what is refused is kept."""
        name = "ledger:quarantine"
        return self._keyring.ensure([name])[name]


def in_clear(envelope: Envelope[Touchpoint]) -> Protected | None:
    """The touchpoint as it may be stored if nothing in it is to be hidden, which takes no key;
    None of any other."""
    plan = _plan(envelope.type)
    if envelope.extensions or is_personal(envelope.subject) or _touches(plan, envelope.data):
        return None
    data = plain(envelope.data)
    digest = _unkeyed_digest(_content(envelope, envelope.subject, data, plan.cls))
    return Protected(msgspec.structs.replace(envelope, data=data), digest)


class _Place(NamedTuple):
    """Where in `data` something is that is to be hidden, and the kind it is searched by, if so."""

    inside: tuple[str, ...]
    name: str
    path: str
    search: str | None


class _Plan(msgspec.Struct, frozen=True):
    """What a type has to hide: the subjects that it names, and its personal fields.

    Data in which all fields of the `touched` names are None have none of it.
    """

    cls: type[Touchpoint]
    touched: tuple[str, ...]
    subjects: tuple[_Place, ...]
    personal: tuple[_Place, ...]
    is_searched: bool


@cache
def _plan(type_name: str) -> _Plan:
    cls = BY_TYPE[type_name]
    subjects = tuple(_place(path, None) for path in subject_fields(cls))
    personal = tuple(_place(field.path, field.search) for field in personal_fields(cls))
    touched = {(*place.inside, place.name)[0] for place in subjects + personal}
    is_searched = any(place.search for place in personal)
    return _Plan(cls, tuple(sorted(touched)), subjects, personal, is_searched)


def _touches(plan: _Plan, data: Touchpoint) -> bool:
    """Whether the data have a field in which something may be that is to be hidden."""
    for name in plan.touched:  # noqa: SIM110 - a generator would take longer than the rest
        if getattr(data, name) is not None:
            return True
    return False


def _place(path: tuple[str, ...], search: str | None) -> _Place:
    return _Place(path[:-1], path[-1], ".".join(("data", *path)), search)


_Hidden = tuple[str, str, str]
"""A personal subject: the path of its field, the subject as it is stored, its value in clear."""
_Secret = tuple[dict[str, Any], str, _Place]
"""A personal field that is there: the dict it is in, its name in it, and its place."""


class _Draft(msgspec.Struct, frozen=True, gc=False):
    """A touchpoint on its way into the log: what to hide is known, the keys are not yet.

    `content` is what is compared, in clear.
    """

    envelope: Envelope[Touchpoint]
    data: dict[str, Any]
    subject: str
    hidden: list[_Hidden]
    secrets: list[_Secret]
    tokens: tuple[str, ...]
    content: bytes

    def subjects_with_secrets(self) -> Iterable[str]:
        if self.secrets or self.envelope.extensions:
            yield self.subject
        for _, stored, _ in self.hidden:
            yield stored

    def protected(self, keys: dict[str, SubjectKey]) -> Protected:
        source, id_ = self.envelope.source, self.envelope.id
        extensions: dict[str, Any] | str | None = self.envelope.extensions
        own = keys.get(self.subject)
        digest = self._digest(own)
        if not (self.secrets or extensions):
            return self._stored(extensions, keys, digest, self.tokens, ())
        if own is None:
            return self._redacted(keys, digest)
        cipher = touchpoint_key(own, source, id_)
        for parent, name, place in self.secrets:
            parent[name] = encrypt(parent[name], cipher, place.path)
        if extensions:
            extensions = encrypt(extensions, cipher, "extensions")
        return self._stored(extensions, keys, digest, self.tokens, (self.subject,))

    def _digest(self, key: SubjectKey | None) -> bytes:
        """Keyed where it covers personal data, and none where that key was destroyed."""
        if not self.secrets:
            return _unkeyed_digest(self.content)
        if key is None:  # without a key, it would give away what can be guessed
            return NOT_COMPARED
        return hmac.digest(key.of_digests, self.content, "sha256")[:DIGEST_BYTES]

    def _redacted(self, keys: dict[str, SubjectKey], digest: bytes) -> Protected:
        """Without anything that was its subject's own."""
        for parent, name, _ in self.secrets:
            parent[name] = REDACTED
        return self._stored(None, keys, digest, (), ())

    def _stored(
        self,
        extensions: str | dict[str, Any] | None,
        keys: dict[str, SubjectKey],
        digest: bytes,
        tokens: tuple[str, ...],
        keyed: tuple[str, ...],
    ) -> Protected:
        source, id_ = self.envelope.source, self.envelope.id
        values = None
        if self.hidden:
            named = [(path, stored, clear) for path, stored, clear in self.hidden if stored in keys]
            values = {
                path: encrypt(clear, touchpoint_key(keys[stored], source, id_), path)
                for path, stored, clear in named
            }
            keyed = tuple({*keyed, *(stored for _, stored, _ in named)})
        stored = msgspec.structs.replace(
            self.envelope,
            subject=self.subject,
            extensions=extensions,
            values=values or None,
            data=self.data,
        )
        return Protected(stored, digest, tokens, keyed)


def _content(
    envelope: Envelope[Touchpoint], subject: str, data: dict[str, Any], cls: type[Touchpoint]
) -> bytes:
    """The content as sent, of which the digest is made; `subject` and `data` as they are stored,
    but for personal fields, which are in clear.

    `traceparent` is left out: a retry of the same touchpoint has a trace of its own. So is
    the offset, since the digest compares instants, and so are extensions, but for the time
    as its source told it, which takes the place of a time that was put right.
    """
    e = envelope
    at = e.at if e.extensions is None else _told_time(e)
    return canonical((e.type, at, e.sequence, subject, e.correlationid, e.causationid), data, cls)


def _unkeyed_digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]


def _told_time(envelope: Envelope[Touchpoint]) -> int | str:
    """The time as its source told it, in microseconds since 1970 (UTC) where it is one."""
    extensions = envelope.extensions
    told = extensions.get(ORIGINAL_TIME) if isinstance(extensions, dict) else None
    if not isinstance(told, str):
        return envelope.at
    try:
        return microseconds(datetime.fromisoformat(told))
    except (
        ValueError,
        TypeError,
    ):  # it has no offset, or is no time: then it is a text like others
        return told


def touchpoint_key(subject_key: bytes, source: str, id: str) -> AESGCM:  # noqa: A002
    """The cipher of one touchpoint: its key opens that touchpoint and no other."""
    info = b"touchpoint\0" + source.encode() + b"\0" + id.encode()
    return AESGCM(derived(subject_key, info))


def encrypt(value: Any, cipher: AESGCM, path: str) -> str:
    """The value as `~` and base64; bound to its path, so that fields cannot be exchanged."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + cipher.encrypt(nonce, msgspec.json.encode(value), path.encode())
    return CIPHERTEXT_PREFIX + urlsafe_b64encode(sealed).decode()


def _opened(text: str, subject_key: bytes | None, source: str, id: str, path: str) -> Any:  # noqa: A002
    if subject_key is None or text == REDACTED:
        return ERASED
    sealed = urlsafe_b64decode(text.removeprefix(CIPHERTEXT_PREFIX))
    cipher = touchpoint_key(subject_key, source, id)
    try:
        clear = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], path.encode())
    except InvalidTag:
        return ERASED
    return msgspec.json.decode(clear)


def _found(data: dict[str, Any], places: Iterable[_Place]) -> list[_Secret]:
    """Those of the places that are there, each with the dict it is in."""
    found = []
    for place in places:
        parent = _parent(data, place.inside) if place.inside else data
        if parent is not None and place.name in parent:
            found.append((parent, place.name, place))
    return found


def _parent(data: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any] | None:
    """The dict at the end of the way, or None when a part of the way is absent."""
    here: Any = data
    for name in inside:
        here = here.get(name)
        if here is None:
            return None
    return here  # type: ignore[no-any-return]


def _at_path(data: dict[str, Any], path: str) -> Any:
    here: Any = data
    for name in path.split("."):
        here = here[name]
    return here


def subjects_with_keys(envelopes: Iterable[Envelope[Any]]) -> set[str]:
    """The subjects whose keys open what is personal in these stored touchpoints."""
    subjects = set()
    for envelope in envelopes:
        subjects.add(envelope.subject)
        subjects.update(_named_subjects(envelope))
    return subjects


def _named_subjects(envelope: Envelope[Any]) -> Iterable[str]:
    """The subjects, other than its own, whose values the touchpoint keeps encrypted."""
    if not envelope.values:
        return
    whole = {"data": plain(envelope.data), "subject": envelope.subject}
    for path in envelope.values:
        yield _at_path(whole, path)


def _revealed(envelope: Envelope[Any], keys: dict[str, SubjectKey]) -> Envelope[Any]:
    plan = _plan(envelope.type)
    data = plain(envelope.data)
    key = keys.get(envelope.subject)
    whole: dict[str, Any] = {"data": data, "subject": envelope.subject}
    for path, ciphertext in (envelope.values or {}).items():
        *inside, name = path.split(".")
        parent = _parent(whole, tuple(inside))
        stored = _at_path(whole, path)
        clear = _opened(ciphertext, keys.get(stored), envelope.source, envelope.id, path)
        if parent is not None and clear != ERASED:
            parent[name] = f"{kind_of(stored)}:{clear}"
    for parent, name, place in _found(data, plan.personal):
        parent[name] = _opened(parent[name], key, envelope.source, envelope.id, place.path)
    extensions = envelope.extensions
    if isinstance(extensions, str):
        opened = _opened(extensions, key, envelope.source, envelope.id, "extensions")
        extensions = opened if isinstance(opened, dict) else None
    return msgspec.structs.replace(
        envelope,
        subject=whole["subject"],
        extensions=extensions,
        values=None,
        data=msgspec.convert(data, plan.cls),
    )
