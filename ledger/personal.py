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
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.keyring import Keyring
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


@dataclass(frozen=True, slots=True)
class Protected:
    """A touchpoint as it may be stored: nothing personal in clear.

    `envelope.data` is a plain dict, `digest` tells whether content that claims the same
    `(source, id)` is the same (see NOT_COMPARED), `tokens` are what the subject can be found by.
    `keyed` are the stored subjects under whose keys something in it is encrypted: if one of them
    is erased before it is recorded, `ledger.redaction` takes that out again.
    """

    envelope: Envelope[Any]
    digest: bytes
    tokens: tuple[str, ...]
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
        subjects: set[str] = set()
        for draft in drafts:
            if isinstance(draft, _Draft):
                subjects.update(draft.subjects_with_secrets())
        keys = self._keyring.ensure(subjects) if subjects else {}
        return [d.protected(keys) if isinstance(d, _Draft) else d for d in drafts]

    def _draft(self, envelope: Envelope[Touchpoint]) -> "_Draft | Refused":
        try:
            return self._drafted(envelope)
        except Refused as refused:
            return refused

    def _drafted(self, envelope: Envelope[Touchpoint]) -> "_Draft":
        cls = BY_TYPE[envelope.type]
        data = plain(envelope.data)
        hidden: list[tuple[str, str, str]] = []
        subject = self._hide(envelope.subject, "subject", hidden)
        for path in subject_fields(cls):
            parent, name = _parent(data, path), path[-1]
            if parent is not None and name in parent:
                parent[name] = self._hide(parent[name], "data." + ".".join(path), hidden)
        tokens, secrets = [], []
        for field in personal_fields(cls):
            parent, name = _parent(data, field.path), field.path[-1]
            if parent is None or name not in parent:
                continue
            secrets.append((parent, name, ".".join(("data", *field.path))))
            if field.search and (token := self._token(field.search, parent[name])):
                tokens.append(token)
        return _Draft(envelope, data, subject, hidden, secrets, tuple(tokens))

    def _hide(self, subject: str, path: str, hidden: list[tuple[str, str, str]]) -> str:
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


@dataclass(slots=True)
class _Draft:
    """A touchpoint on its way into the log: what to hide is known, the keys are not yet."""

    envelope: Envelope[Touchpoint]
    data: dict[str, Any]
    subject: str
    hidden: list[tuple[str, str, str]]
    secrets: list[tuple[dict[str, Any], str, str]]
    tokens: tuple[str, ...]

    def subjects_with_secrets(self) -> Iterable[str]:
        if self.secrets or self.envelope.extensions:
            yield self.subject
        for _, stored, _ in self.hidden:
            yield stored

    def protected(self, keys: dict[str, bytes]) -> Protected:
        envelope = self.envelope
        own = keys.get(self.subject)
        digest = self._digest(own)
        source, id_ = envelope.source, envelope.id
        extensions: dict[str, Any] | str | None = envelope.extensions
        keyed: tuple[str, ...] = ()
        if self.secrets or extensions:
            if own is None:
                return self._redacted(keys, digest)
            key = touchpoint_key(own, source, id_)
            keyed = (self.subject,)
            for parent, name, path in self.secrets:
                parent[name] = encrypt(parent[name], key, path)
            if extensions:
                extensions = encrypt(extensions, key, "extensions")
        return self._stored(extensions, keys, digest, keyed)

    def _redacted(self, keys: dict[str, bytes], digest: bytes) -> Protected:
        """Without anything that was its subject's own."""
        for parent, name, _ in self.secrets:
            parent[name] = REDACTED
        self.tokens = ()
        return self._stored(None, keys, digest, ())

    def _stored(
        self,
        extensions: str | dict[str, Any] | None,
        keys: dict[str, bytes],
        digest: bytes,
        keyed: tuple[str, ...],
    ) -> Protected:
        envelope = self.envelope
        source, id_ = envelope.source, envelope.id
        values = None
        if self.hidden:
            named = [(path, stored, clear) for path, stored, clear in self.hidden if stored in keys]
            values = {
                path: encrypt(clear, touchpoint_key(keys[stored], source, id_), path)
                for path, stored, clear in named
            }
            keyed = tuple({*keyed, *(stored for _, stored, _ in named)})
        stored = Envelope(
            type=envelope.type,
            at=envelope.at,
            source=source,
            id=id_,
            subject=self.subject,
            offset=envelope.offset,
            sequence=envelope.sequence,
            correlationid=envelope.correlationid,
            causationid=envelope.causationid,
            traceparent=envelope.traceparent,
            extensions=extensions,
            values=values or None,
            data=self.data,  # type: ignore[type-var]
        )
        return Protected(stored, digest, self.tokens, keyed)

    def _digest(self, key: bytes | None) -> bytes:
        """A digest of the content as sent; keyed where it covers personal data, and none where
        that key was destroyed.

        `traceparent` is left out: a retry of the same touchpoint has a trace of its own. So is
        the offset, since the digest compares instants, and so are extensions, but for the time
        as its source told it, which takes the place of a time that was put right.
        """
        e = self.envelope
        at = _told_time(e)
        content = canonical(
            [e.type, at, e.sequence, self.subject, e.correlationid, e.causationid, self.data]
        )
        if self.secrets:
            if key is None:  # without a key, it would give away what can be guessed
                return NOT_COMPARED
            return hmac.digest(derived(key, b"digest"), content, "sha256")[:DIGEST_BYTES]
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


def derived(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3) to 32 bytes.

    One block of SHA-256 is enough, and the subject's key is uniformly random, so that the
    extract step may be left out (section 3.3). tests/ledger hold it equal to `cryptography`'s.
    """
    return hmac.digest(key, info + b"\x01", "sha256")


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


def _parent(data: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The dict that holds the last name of the path, or None when the way there is absent."""
    here: Any = data
    for name in path[:-1]:
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


def _revealed(envelope: Envelope[Any], keys: dict[str, bytes]) -> Envelope[Any]:
    cls = BY_TYPE[envelope.type]
    data = plain(envelope.data)
    key = keys.get(envelope.subject)
    whole: dict[str, Any] = {"data": data, "subject": envelope.subject}
    for path, ciphertext in (envelope.values or {}).items():
        stored = _at_path(whole, path)
        clear = _opened(ciphertext, keys.get(stored), envelope.source, envelope.id, path)
        parent = _parent(whole, tuple(path.split(".")))
        if parent is not None and clear != ERASED:
            parent[path.rpartition(".")[2]] = f"{kind_of(stored)}:{clear}"
    for field in personal_fields(cls):
        parent, name = _parent(data, field.path), field.path[-1]
        if parent is not None and name in parent:
            path = ".".join(("data", *field.path))
            parent[name] = _opened(parent[name], key, envelope.source, envelope.id, path)
    extensions = envelope.extensions
    if isinstance(extensions, str):
        opened = _opened(extensions, key, envelope.source, envelope.id, "extensions")
        extensions = opened if isinstance(opened, dict) else None
    return msgspec.structs.replace(
        envelope,
        subject=whole["subject"],
        extensions=extensions,
        values=None,
        data=msgspec.convert(data, cls),
    )
