"""Cutting: every item of a file or pipe comes out once, and nothing is lost on the way."""

import io
import json
import tracemalloc
from typing import IO, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.lines import CHUNK_BYTES, UNSOUND_BYTES_MAX, read_touchpoints, touchpoints_in
from ledger.quarantine import Item, Received
from schemas.door import TOUCHPOINT_BYTES_MAX

BOM = b"\xef\xbb\xbf"
MEBIBYTE = 1_048_576
LONG_BYTES = 50 * MEBIBYTE


class Pipe:
    """A stream that gives its bytes in pieces of the sizes asked for, as a slow pipe does."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._file = io.BytesIO(content)
        self._sizes = sizes or [CHUNK_BYTES]
        self._reads = 0

    def read(self, size: int) -> bytes:
        self._reads += 1
        return self._file.read(min(size, self._sizes[self._reads % len(self._sizes)]))

    def readline(self, size: int) -> bytes:
        return self._file.readline(size)


def received(content: bytes, sizes: list[int] | None = None) -> list[Received]:
    stream = cast(IO[bytes], Pipe(content, sizes or []))
    return [plain(item) for item in read_touchpoints(stream, "append", "file")]


def plain(item: Item) -> Received:
    """What was received, with or without a refusal."""
    return item[0] if isinstance(item, tuple) else item


def whole(item: Received) -> bytes:
    content = b"".join(item.parts())
    item.close()
    return content


def items(content: bytes, sizes: list[int] | None = None) -> list[bytes]:
    return [whole(item) for item in received(content, sizes)]


def places(content: bytes, unit: str) -> list[int]:
    return [item.context[unit] for item in received(content)]


def test_each_line_is_an_item_with_its_number() -> None:
    found = received(b'{"a":1}\n{"b":2}\n')
    assert [(f.raw, f.door, f.context) for f in found] == [
        (b'{"a":1}', "append", {"file": "file", "line": 1}),
        (b'{"b":2}', "append", {"file": "file", "line": 2}),
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n", BOM, BOM + b"\n", b"[]", b" [ ] \n"])
def test_an_empty_input_has_no_items(content: bytes) -> None:
    assert items(content) == []


def test_the_last_line_needs_no_end() -> None:
    assert items(b"{}\n[1]") == [b"{}", b"[1]"]


def test_lines_may_end_as_on_windows_and_begin_with_its_mark() -> None:
    assert items(BOM + b"{}\r\n{}\r\n") == [b"{}", b"{}"]


def test_blank_lines_are_no_items_but_are_counted() -> None:
    content = b"\n  \n{}\n\n\t\r\n{}\n"
    assert items(content) == [b"{}", b"{}"]
    assert places(content, "line") == [3, 6]


def test_a_line_that_is_no_json_is_an_item_all_the_same() -> None:
    assert items(b"{}\nnot json\n\xff\xfe\n{") == [b"{}", b"not json", b"\xff\xfe", b"{"]


def test_each_element_of_an_array_is_an_item_with_its_number() -> None:
    content = BOM + b'\n [{"a":[1,{"b":2}]},\r\n {"c":"]},["} ] \n'
    assert items(content) == [b'{"a":[1,{"b":2}]}', b'{"c":"]},["}']
    assert places(content, "item") == [1, 2]


def test_what_follows_an_array_is_an_item_that_will_be_refused() -> None:
    assert items(b'[{"a":1}] {"b":2}') == [b'{"a":1}', b'{"b":2}']
    assert items(b"[{}][{}]") == [b"{}", b"[{}]"]


def test_what_an_array_without_its_end_leaves_over_is_an_item() -> None:
    assert items(b'[{"a":1},{"b":') == [b'{"a":1}', b'{"b":']
    assert items(b'[{"a":"x]') == [b'{"a":"x]']


def test_a_broken_element_costs_only_itself() -> None:
    assert items(b'[{"a":1},{"b":tru},{"c":3}]') == [b'{"a":1}', b'{"b":tru}', b'{"c":3}']


nasty = st.text(st.sampled_from('[]{},:"\\ \n\té🦊a1'), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | nasty,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(nasty, inner, max_size=4),
    max_leaves=12,
)
objects = st.lists(st.dictionaries(nasty, values, max_size=4), max_size=6)
sizes = st.lists(st.integers(1, 9), max_size=5)


@given(array=objects, sizes=sizes, ascii_only=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_any_array_of_objects_gives_what_a_json_parser_finds_however_it_is_chunked(
    array: list[Any], sizes: list[int], ascii_only: bool, indent: int | None
) -> None:
    content = json.dumps(array, ensure_ascii=ascii_only, indent=indent).encode()
    assert [json.loads(item) for item in items(content, sizes)] == array


@given(array=objects, ending=st.sampled_from((b"\n", b"\r\n")), mark=st.sampled_from((b"", BOM)))
def test_any_objects_one_a_line_come_out_as_they_went_in(
    array: list[Any], ending: bytes, mark: bytes
) -> None:
    content = mark + ending.join(json.dumps(value).encode() for value in array)
    assert [json.loads(item) for item in items(content)] == array


@given(array=objects, indent=st.none() | st.integers(0, 2), cut=st.integers(0, 3))
def test_what_is_in_memory_is_cut_as_a_stream_is(
    array: list[Any], indent: int | None, cut: int
) -> None:
    content = json.dumps(array, indent=indent).encode()
    content = content[: len(content) - cut]  # one that is sound, or has lost its end
    at_once = [plain(item) for item in touchpoints_in(content, "append", "file")]
    assert [item.raw for item in at_once] == items(content)
    assert [item.context for item in at_once] == [item.context for item in received(content)]


def test_a_long_array_that_is_broken_is_one_item() -> None:
    broken = b"[{}," + b'{"a":[' * UNSOUND_BYTES_MAX
    (item,) = touchpoints_in(broken, "append", "f")
    assert isinstance(item, tuple)
    assert (item[0].raw, item[1].reason) == (broken, "json_invalid")


def test_an_element_in_memory_that_is_too_long_is_kept_in_a_file() -> None:
    long = b'{"a":"' + b"x" * TOUCHPOINT_BYTES_MAX + b'"}'
    (short, kept) = (plain(item) for item in touchpoints_in(b"[{}," + long + b"]", "append", "f"))
    assert (short.raw, isinstance(kept.raw, bytes), whole(kept)) == (b"{}", False, long)


rubbish = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"[", b"]", b"{", b"}", b",", b'"', b"\\", b"\n", b" ", b"a", BOM, b"\xef"]),
    max_size=30,
).map(b"".join)


def without_frame(content: bytes) -> bytes:
    """The bytes but for what holds items together: blanks, commas and brackets."""
    return content.translate(None, b" \t\r\n,[]")


@settings(max_examples=500)
@given(content=rubbish, start=st.sampled_from((b"", b"[", b"[ {", BOM, b"\n\n")), sizes=sizes)
def test_nothing_but_blanks_commas_and_brackets_is_lost_of_any_bytes(
    content: bytes, start: bytes, sizes: list[int]
) -> None:
    sent = (start + content).removeprefix(BOM)
    assert without_frame(b"".join(items(start + content, sizes))) == without_frame(sent)


@given(lines=st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")), max_size=8))
def test_of_lines_nothing_is_lost_but_the_blanks_around_them(lines: list[bytes]) -> None:
    content = b"{}\n" + b"\n".join(lines)
    stripped = [raw.strip(b" \t\r\n") for raw in lines]
    assert items(content) == [b"{}", *(raw for raw in stripped if raw)]


def test_the_longest_line_is_held_and_a_longer_one_is_put_aside_whole() -> None:
    longest, longer = b"a" * TOUCHPOINT_BYTES_MAX, b"b" * (TOUCHPOINT_BYTES_MAX + 1)
    found = received(longest + b"\n" + longer + b"\n{}\n" + longer)
    assert [isinstance(item.raw, bytes) for item in found] == [True, False, True, False]
    assert [whole(item) for item in found] == [longest, longer, b"{}", longer]


class LongStream(io.RawIOBase):
    """A touchpoint of 50 MB, made as it is read, between two small ones."""

    def __init__(self, start: bytes, end: bytes) -> None:
        self._parts = [start, *[b"x" * MEBIBYTE] * (LONG_BYTES // MEBIBYTE), end]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._parts:
            return 0
        part = self._parts.pop(0)
        if len(part) > len(buffer):
            self._parts.insert(0, part[len(buffer) :])
        taken = part[: len(buffer)]
        buffer[: len(taken)] = taken
        return len(taken)


@pytest.mark.parametrize(
    ("start", "end"),
    [(b'{}\n{"a":"', b'"}\n{}\n'), (b'[{},{"a":"', b'"},{}]'), (b'{"a":"', b'"}'), (b"[", b"")],
    ids=["a line", "an element", "the only line", "an array of one word"],
)
def test_fifty_megabytes_in_one_piece_do_not_fill_the_memory(start: bytes, end: bytes) -> None:
    stream = io.BufferedReader(LongStream(start, end))
    lengths = []
    tracemalloc.start()
    try:
        for item in map(plain, read_touchpoints(stream, "append", "file")):
            lengths.append(sum(len(part) for part in item.parts()))
            item.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(lengths) >= LONG_BYTES
    assert peak < 12 * MEBIBYTE


def test_a_file_that_begins_with_a_million_blank_lines_is_no_trouble() -> None:
    content = b"\n" * 1_000_000 + b"{}"
    assert items(content) == [b"{}"]


@pytest.mark.parametrize("cut", [b"[", b'[{"a":1}', b'[{"a":1},'])
def test_an_array_that_is_cut_off_between_its_items_is_said_to_be(cut: bytes) -> None:
    *_, last = read_touchpoints(io.BytesIO(cut), "append", "file")
    assert isinstance(last, tuple)
    assert last[1].reason == "cut_off"


def test_an_array_that_ends_within_an_item_loses_only_that_item() -> None:
    assert items(b'[{"a":1},{"b":') == [b'{"a":1}', b'{"b":']
