"""Canaries in every personal field of every type: no window sings unless asked with a reason."""

import json
from collections.abc import Iterator

import pytest

from schemas.registry import TOUCHPOINTS
from tests.cli.running import Ran, Shell
from tests.ledger.test_canaries import (
    CANARIES_MIN,
    Aviary,
    assert_nowhere,
    awkward,
    described_by_canaries,
)

FORMS = ("table", "json", "csv")


@pytest.fixture
def aviary() -> Aviary:
    return Aviary()


@pytest.fixture
def told(shell: Shell, aviary: Aviary) -> list[Ran]:
    """What taking in says, where every second line or so is refused."""
    lines = [json.dumps(event).encode() for event in described_by_canaries(aviary)]
    refused = list(awkward(aviary))
    ran = shell("append", stdin=b"\n".join([*lines, *refused]))
    assert (ran.code, ran.json["recorded"]) == (3, len(TOUCHPOINTS)), ran.err
    assert ran.json["quarantined"] == len(refused)
    assert len(aviary.planted) >= CANARIES_MIN
    return [ran, shell("quarantine", "retry", "--all")]


def windows(shell: Shell) -> Iterator[tuple[str, ...]]:
    """Every window there is: lists, and each of what they list."""
    yield from (
        ("customer", "list"), ("ticket", "list"), ("log", "list"), ("log", "tail", "-n", "100"),
        ("log", "export"), ("quarantine", "list"), ("quarantine", "show", "1"),
        ("loyalty", "rules"), ("consent", "violations"), ("projection", "list"),
        ("projection", "parked"), ("doctor",),
    )  # fmt: skip
    for entry in shell("customer", "list", "-o", "json").json:
        for command in ("show", "timeline", "explain", "looks"):
            yield "customer", command, entry["customer"]
    for entry in shell("ticket", "list", "-o", "json").json:
        yield from (("ticket", command, entry["ticket"]) for command in ("show", "explain"))
        yield "ticket", "history", entry["ticket"]
    for number in range(0, len(TOUCHPOINTS), 3):
        yield "log", "show", f"canary-{number}"


def test_no_window_no_complaint_and_no_file_holds_a_canary_unasked(
    shell: Shell, aviary: Aviary, told: list[Ran]
) -> None:
    for number, arguments in enumerate(windows(shell)):
        told.append(shell(*arguments, "-o", FORMS[number % len(FORMS)]))
        assert told[-1].code in (0, 1, 4), told[-1].err
    for ran in told:
        lowered = (ran.out + ran.err).lower()
        assert not [canary for canary in aviary.planted if canary in lowered]
    assert_nowhere(aviary.planted, shell.address)


def test_asked_with_a_reason_the_log_has_them_all(
    shell: Shell, aviary: Aviary, told: list[Ran]
) -> None:
    assert told
    out = shell("log", "export", "--reveal", "a claim").out.lower()
    recorded = {canary for canary in aviary.planted if canary in out}
    assert len(recorded) >= len(TOUCHPOINTS)
    assert_nowhere(aviary.planted, shell.address)
