"""What a delivery carries: its body read into a document, and the document cut into rows."""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

from ledger.conversions import Unfit
from ledger.mapping_values import Expression, Scope, column_of
from ledger.rows import WrittenNumber, json_value
from web.webhooks.delivery import Delivery

FORMS = ("json", "form", "either")
ROWS_MAX = 10_000
"""How many rows one delivery may hold."""
FORM_FIELDS_MAX = 2_000
DEPTH_MAX = 64
DIGEST_CHARACTERS = 32

HEADERS, QUERY, DELIVERY_ID, RECEIVED = "_headers", "_query", "_delivery", "_received"
PARENT, DIGEST, KEYED = "_parent", "_digest", "_keyed"
RESERVED = (HEADERS, QUERY, DELIVERY_ID, RECEIVED, PARENT, DIGEST, KEYED)
"""Names in a row for what is beside the payload."""

TRIAL_KEY = b"no ledger"
"""Stands for the key of a ledger where a connector is tried without one."""

Document = Any
"""What a body holds: plain values of JSON, whose fractions remember their digits."""


class PayloadUnreadable(ValueError):
    """A body that is not what the connector expects; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadForm:
    """How bodies are read, as the [payload] table of a connector says it.

    `embedded` and `pseudo` name texts that hold JSON, or `{name:value}`, themselves, `uppercase`
    those that are put in capitals (codes of currencies), `keyed` those whose digests a row is
    given: ids in which an address or number can be read. `items` are the steps that lead to the
    rows. `headers` and `query` are what a row is given of those (names of headers in lower case),
    `volatile` what differs when the same is sent again. `hidden` names what is never kept:
    secrets that vendors put into the body.
    """

    form: str = "json"
    embedded: tuple[str, ...] = ()
    pseudo: tuple[str, ...] = ()
    uppercase: tuple[str, ...] = ()
    keyed: tuple[str, ...] = ()
    items: tuple[Expression, ...] = ()
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def document(self, delivery: Delivery) -> Document:
        """The body as one document. Raises PayloadUnreadable."""
        as_form = self.form == "form" or (self.form == "either" and delivery.is_form)
        try:
            found = form_value(delivery.body) if as_form else json_value(delivery.body)
        except ValueError as error:
            raise PayloadUnreadable(str(error)) from None
        self._hide(found)
        for column in self.embedded:
            _change_texts(found, column, _json_in)
        for column in self.pseudo:
            _change_texts(found, column, pseudo_json)
        for column in self.uppercase:
            _change_texts(found, column, str.upper)
        if _deeper_than(DEPTH_MAX, found):
            raise PayloadUnreadable(f"nested deeper than {DEPTH_MAX} levels")
        return found

    def without_secrets(self, body: bytes) -> bytes | None:
        """A body that is kept as it came, but for what is `hidden`; None where it cannot be told
        which part of it that is."""
        if not self.hidden:
            return body
        try:
            found = json_value(body)
            self._hide(found)
            return written_json(found)
        except (ValueError, TypeError, RecursionError):
            return None

    def _hide(self, document: Document) -> None:
        for column in self.hidden:
            for holder, name in list(_holders(document, column)):
                del holder[name]

    def rows(
        self, document: Document, beside: dict[str, Any], content_key: bytes
    ) -> list[dict[str, Any]]:
        """The objects that touchpoints are made of, each with what is beside the payload.

        Without `items` it is the document, or each element of a document that is a list.
        `content_key` is the ledger's, for digests by which nobody else can check a guess.
        Raises PayloadUnreadable.
        """
        found = document if isinstance(document, list) else [document]
        rows = [_object(one) | beside for one in found]
        for step in self.items:
            rows = [row for above in rows for row in _below(above, step)]
            if len(rows) > ROWS_MAX:
                break
        if len(rows) > ROWS_MAX:
            raise PayloadUnreadable(f"more than {ROWS_MAX:,} items")
        return [
            row | beside | {DIGEST: self.digest(row, content_key)} | self.digests(row, content_key)
            for row in rows
        ]

    def digests(self, row: Mapping[str, Any], content_key: bytes) -> dict[str, Any]:
        """The digests of the columns that are `keyed`, for the row to have beside the payload."""
        found = {name: _text_at(row, name) for name in self.keyed}
        made = {n: digest_of(text.encode(), content_key) for n, text in found.items() if text}
        return {KEYED: made} if made else {}

    def digest(self, row: Mapping[str, Any], content_key: bytes) -> str:
        """What tells the content of a row from that of others, without what a retry changes."""
        kept = {k: v for k, v in row.items() if k not in self.volatile and k not in RESERVED}
        return digest_of(written_json(kept, sort_keys=True), content_key)


def digest_of(content: bytes, content_key: bytes) -> str:
    """A name for this content, by which only who has the key can tell whether a guess is right."""
    return hmac.digest(content_key, content, "sha256").hex()[:DIGEST_CHARACTERS]


def _text_at(row: Mapping[str, Any], column: str) -> str:
    """A text or whole number of a row as text; empty where there is none."""
    try:
        found = column_of(row, column)
    except (KeyError, TypeError):
        return ""
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) else ""


def _deeper_than(levels: int, value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper_than(levels - 1, one) for one in inner)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PayloadUnreadable("expected an object, or a list of objects")
    return {name: inner for name, inner in value.items() if name not in RESERVED}


def _below(above: dict[str, Any], step: Expression) -> Iterator[dict[str, Any]]:
    """The objects that a step leads to from one above them.

    Each remembers that one, but for the part that led here, which may hold many others.
    """
    try:
        found = step.find(Scope(above, 0))
    except Unfit as unfit:
        raise PayloadUnreadable(f"{step.said}: {unfit}") from None
    led = frozenset(step.reads())
    left_out = led.union(RESERVED) - {PARENT}
    parent = {name: value for name, value in above.items() if name not in left_out}
    for one in found if isinstance(found, list) else [found] if found is not None else []:
        yield {**_object(one), PARENT: parent}


class _Contradiction(ValueError):
    def __init__(self) -> None:
        super().__init__("two fields of the form contradict each other")


def form_value(body: bytes) -> dict[str, Any]:
    """A form as an object. `a[b]=1` is an object in it, `a[]=1` and `a=1&a=2` are lists.

    Raises ValueError without a value in its message.
    """
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError:
        raise ValueError("not a form in UTF-8 of a sensible number of fields") from None
    found: dict[str, Any] = {}
    for name, value in fields:
        head, *inner = re.split(r"\]?\[", name.removesuffix("]")) if "[" in name else [name]
        _put(found, [head, *inner][:DEPTH_MAX], value)
    return found


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    """Put a field where its name leads. Raises ValueError if those before it do not let it."""
    is_list = len(path) > 1 and path[-1] == ""
    *way, name = path[:-1] if is_list else path
    for part in way:
        found = found.setdefault(part, {})
        if not isinstance(found, dict):
            raise _Contradiction
    if name not in found:
        found[name] = [value] if is_list else value
    elif isinstance(found[name], list):
        found[name].append(value)
    elif isinstance(found[name], str):
        found[name] = [found[name], value]
    else:
        raise _Contradiction


def _json_in(text: str) -> Any:
    """The JSON that a text holds; the text itself where it holds none."""
    try:
        return json_value(text.encode())
    except ValueError:
        return text


def _holders(document: Document, column: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Where a column stands: the objects that hold it, one for each element of a list."""
    *way, last = column.split(".")
    for one in document if isinstance(document, list) else [document]:
        inner = one
        for part in way:
            inner = inner.get(part) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and last in inner:
            yield inner, last


def _change_texts(document: Document, column: str, change: Callable[[str], Any]) -> None:
    for holder, name in _holders(document, column):
        if isinstance(holder[name], str):
            holder[name] = change(holder[name])


PSEUDO_CHARACTERS_MAX = 10_000
"""How long a text may be that is read so."""
_PSEUDO = re.compile(r"([^{}:,]+):\s*+(?:(\{)|([^{},]*))")


def pseudo_json(text: str) -> Any:
    """What Freshdesk writes: `{ticket_action:created}`, `{status:{from:2,to:4}}`.

    Gives the text itself where it is of another form, or longer than PSEUDO_CHARACTERS_MAX.
    """
    if len(text) > PSEUDO_CHARACTERS_MAX:
        return text
    found, end = _pseudo_object(text, 0, 0)
    return found if found is not None and end == len(text.rstrip()) else text


def _pseudo_object(text: str, at: int, depth: int) -> tuple[dict[str, Any] | None, int]:
    if depth > DEPTH_MAX or not text.startswith("{", at):
        return None, at
    made: dict[str, Any] = {}
    at += 1
    while pair := _PSEUDO.match(text, at):
        at = pair.end()
        if pair[2]:
            made[pair[1].strip()], at = _pseudo_object(text, at - 1, depth + 1)
        else:
            made[pair[1].strip()] = pair[3].strip()
        if not text.startswith(",", at):
            break
        at += 1
    return (made, at + 1) if text.startswith("}", at) else (None, at)


def written_json(value: Any, *, sort_keys: bool = False) -> bytes:
    """A document as JSON, fractions with the digits that they came with."""
    order: Literal["sorted"] | None = "sorted" if sort_keys else None
    return msgspec.json.encode(value, enc_hook=_as_written, order=order)


def _as_written(value: Any) -> msgspec.Raw:
    """What msgspec takes for no number, since it is a kind of its own."""
    if isinstance(value, WrittenNumber):
        return msgspec.Raw(value.digits.encode())
    raise TypeError(f"no part of a document: {type(value).__name__}")
