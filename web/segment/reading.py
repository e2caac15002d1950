"""Bodies of requests, cut into calls before any of them is read: a bad one costs only itself.

Where a call ends is told by brackets and quotes alone. Whether it is JSON that can be kept, is
asked of each by itself.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from ledger.access import SECRET_PREFIX
from ledger.rows import json_value
from schemas.door import Refused

_boundaries = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=str, strict=False
).raw_decode
"""Finds where a value ends, whatever numbers and texts are in it."""

_BLANK = re.compile(r"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape in a text, or two that are one character; the group is one half without the other."""
_SECRET = re.compile(rb'("writeKey"[ \t\r\n]*:[ \t\r\n]*)"((?:[^"\\]|\\.)*+)"?', re.DOTALL)
_TOKEN = re.compile(SECRET_PREFIX.encode() + rb"[A-Za-z0-9_-]{40,}")


class _Keyed(msgspec.Struct):
    writeKey: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815 - as it is sent


_key_of = msgspec.json.Decoder(_Keyed).decode


class TooMany(Exception):
    """A batch has more calls than are taken at once."""


@dataclass(frozen=True, slots=True)
class Body:
    """The calls of a request as they came, and what they have in common."""

    calls: tuple[bytes, ...]
    context: bytes = b"{}"
    sent_at: object = None


def secret_of(raw: bytes) -> str | None:
    """The `writeKey` of a body, found without reading the rest of it."""
    try:
        found = bytes(_key_of(raw.removeprefix(_BOM)).writeKey)
    except (msgspec.MsgspecError, RecursionError):  # it may be good enough to be cut, all the same
        match = _SECRET.search(raw)
        found = b'"' + match[2] + b'"' if match else b"null"
    try:
        value = json_value(found)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def without_secret(raw: bytes) -> bytes:
    """The same without the secret that it came with, which quarantine must not know; an empty
    object where that is written in a way that nobody writes it."""
    kept = _TOKEN.sub(SECRET_PREFIX.encode(), _SECRET.sub(rb'\1""', raw))
    return b"{}" if secret_of(kept) else kept


def single(raw: bytes) -> Body:
    """A body that is a call. Raises Refused where it is no JSON object."""
    text = _Text(raw)
    text.members(lambda _, start: text.end_of(start))
    return Body((raw.removeprefix(_BOM),))


def batch(raw: bytes, calls_max: int) -> Body:
    """A body with a batch of calls. Raises TooMany where they are more than `calls_max`, and
    Refused where it is no JSON object, or has no list of calls."""
    text = _Text(raw)
    found: dict[str, bytes] = {}
    calls: list[bytes] | None = None

    def member(name: str, start: int) -> int:
        nonlocal calls
        if name != "batch":
            end = text.end_of(start)
            if name in ("context", "sentAt"):
                found[name] = raw[start:end]
            return end
        if not text.has("[", start):
            raise Refused("list_type", "batch", "expected a list of calls")
        cut: list[bytes] = []
        calls = cut

        def element(start: int) -> int:
            if len(cut) == calls_max:
                raise TooMany
            end = text.end_of(start)
            cut.append(raw[start:end])
            return end

        return text.separated(start + 1, "]", element)

    text.members(member)
    if calls is None:
        raise Refused("list_type", "batch", "expected a list of calls")
    try:
        sent_at = json_value(found.get("sentAt", b"null"))
    except ValueError:  # as any other time of sending that is none
        sent_at = None
    return Body(tuple(calls), found.get("context", b"{}"), sent_at)


def value_of(raw: bytes) -> Any:
    """Read a call, or its context. Half a character, which a text that was cut in the middle of
    one ends with, becomes U+FFFD. Raises Refused."""
    if _HALF.search(raw):
        raw = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], raw)
    try:
        return json_value(raw)
    except ValueError as error:
        raise Refused("json_invalid", "", str(error)) from None


class _Text:
    """A body, one character a byte: places in the text are places in the body."""

    def __init__(self, raw: bytes) -> None:
        self._text = raw.decode("latin-1")
        self._start = len(_BOM) if raw.startswith(_BOM) else 0

    def has(self, mark: str, at: int) -> bool:
        return self._text.startswith(mark, at)

    def members(self, read: Callable[[str, int], int]) -> None:
        """Cut the object that the body is. `read` is given the name of a member and where its
        value starts, and says where that ends."""
        at = self._after(self._start)
        if not self.has("{", at):
            self.end_of(at)
            raise Refused("object_type", "", "expected an object")

        def member(at: int) -> int:
            if not self.has('"', at):
                raise _broken(at, "expected a name in quotes")
            end = self.end_of(at)
            name = json.loads(self._text[at:end], strict=False)
            at = self._after(end)
            if not self.has(":", at):
                raise _broken(at, "expected a colon")
            return read(name, self._after(at + 1))

        end = self._after(self.separated(at + 1, "}", member))
        if end != len(self._text):
            raise _broken(end, "something after its end")

    def separated(self, at: int, closing: str, read: Callable[[int], int]) -> int:
        """Cut what stands between commas, up to the bracket that closes; the place after it."""
        at = self._after(at)
        if self.has(closing, at):
            return at + 1
        while True:
            at = self._after(read(at))
            if self.has(closing, at):
                return at + 1
            if not self.has(",", at):
                raise _broken(at, "expected a comma or a closing bracket")
            at = self._after(at + 1)

    def end_of(self, at: int) -> int:
        """The place after the value that stands there."""
        try:
            return _boundaries(self._text, at)[1]
        except json.JSONDecodeError as error:
            raise _broken(error.pos, error.msg) from None
        except RecursionError:
            raise Refused("json_invalid", "", "JSON that is nested too deeply") from None

    def _after(self, at: int) -> int:
        """The next place that is no blank."""
        found = _BLANK.match(self._text, at)
        return found.end() if found else at


def _broken(at: int, message: str) -> Refused:
    return Refused("json_invalid", "", f"broken JSON at byte {at + 1}: {message}")
