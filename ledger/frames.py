"""Frames: as bytes, what one process has read for another to append, and what became of it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.intake import Read
from ledger.log import Outcome, Quarantined
from ledger.quarantine import Received
from ledger.receipt import Receipt
from ledger.record import Duplicate, Record, Recorded
from schemas.door import Refused
from schemas.envelope import Envelope
from schemas.replay import decode_as_written


class _Item(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was received, and what it is: one of the last three. An envelope is as it would be
    stored if nothing in it were hidden, since other forms of it lose the offsets of times."""

    raw: bytes
    door: str
    context: dict[str, Any]
    headers: tuple[tuple[str, bytes | None], ...]
    key: bytes | None
    record: Record | None
    envelope: tuple[str, bytes] | None
    refused: Refused | None


class _Answer(msgspec.Struct, array_like=True, gc=False):
    receipt: Receipt
    outcomes: list[Recorded | Duplicate | Quarantined]


_write_state = msgspec.json.Encoder().encode


def _why(refused: Any) -> tuple[str, str, str]:
    return (refused.reason, refused.path, refused.message)


def _refused(_: type, why: Any) -> Refused:
    return Refused(*why)


_write = msgspec.msgpack.Encoder(enc_hook=_why).encode
_read_items = msgspec.msgpack.Decoder(list[_Item], dec_hook=_refused).decode
_read_answer = msgspec.msgpack.Decoder(_Answer, dec_hook=_refused).decode


def write_group(group: Sequence[tuple[Received, Read]]) -> bytes:
    """A group whose bytes are in memory."""
    return _write([_item(received, it) for received, it in group])


def read_group(frame: bytes) -> list[tuple[Received, Read]]:
    """What `write_group` was given."""
    return [(_received(item), _what(item)) for item in _read_items(frame)]


def write_answer(receipt: Receipt, outcomes: list[Outcome]) -> bytes:
    """What has become of a group."""
    return _write((receipt, outcomes))


def read_answer(frame: bytes) -> tuple[Receipt, list[Outcome]]:
    """What `write_answer` was given."""
    answer = _read_answer(frame)
    return answer.receipt, answer.outcomes


def _item(received: Received, it: Read) -> tuple[Any, ...]:
    """The fields of an _Item; to make one of them would take longer than to write it."""
    came = (received.raw, received.door, received.context, received.headers, received.key)
    if isinstance(it, Record):
        return (*came, it, None, None)
    if isinstance(it, Envelope):
        return (*came, None, (it.type, _write_state(it)), None)
    return (*came, None, None, it)


def _received(item: _Item) -> Received:
    return Received(item.raw, item.door, item.context, item.headers, item.key)


def _what(item: _Item) -> Read:
    if item.record is not None:
        return item.record
    if item.envelope is not None:
        return decode_as_written(*item.envelope)
    if item.refused is None:
        raise ValueError("the item is neither a touchpoint nor refused")
    return item.refused
