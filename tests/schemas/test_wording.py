"""How summaries word lengths of time, counts, texts and subjects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wording import (
    SHOWN_CHARACTERS_MAX,
    counted,
    lasting,
    short,
    shown,
    shown_subject,
    trailing,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3_600, "1 h"),
        (3_661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_length_of_time_is_told_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_things_are_counted_in_singular_and_plural() -> None:
    assert [counted(n, "line") for n in (0, 1, 2, 1_000)] == [
        "0 lines",
        "1 line",
        "2 lines",
        "1,000 lines",
    ]


@given(st.text(max_size=400))
def test_a_short_text_is_one_line_of_limited_length(text: str) -> None:
    line = short(text)
    assert len(line) <= SHOWN_CHARACTERS_MAX
    assert line == " ".join(line.split())
    assert line.endswith("…") or line == " ".join(text.split())


def test_what_is_encrypted_is_shown_as_an_ellipsis() -> None:
    assert shown("~abc") == "…"
    assert shown("clear") == "clear"
    assert shown(1984) == "1984"
    assert shown(None) == ""


def test_the_token_of_a_personal_subject_is_not_shown() -> None:
    assert shown_subject("email:~" + "A" * 22) == "email:…"
    assert shown_subject("email:ana@example.com") == "email:ana@example.com"
    assert shown_subject("customer:42") == "customer:42"


def test_nothing_trails_where_there_is_no_text() -> None:
    assert trailing(" by ", "Ana") == " by Ana"
    assert trailing(" by ", None) == ""
    assert trailing(" by ", "") == ""
