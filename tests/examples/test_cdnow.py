"""The CDNOW mappings, on the real purchases: every row becomes an order, and repeats count."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.mapping import load_mapping

EXAMPLES = Path(__file__).parents[2] / "examples"


def imported(mapping_name: str, file: Path) -> list[dict[str, Any]]:
    """Every touchpoint of a file; no row of these files may fail."""
    mapping = load_mapping(EXAMPLES / mapping_name)
    made: list[dict[str, Any]] = []
    for row in mapping.read(file):
        assert row.error is None
        assert row.values is not None
        made += mapping.touchpoints(row.values, row.number)
    return made


def dollars(orders: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(order["data"]["total"]["amount"]) for order in orders), Decimal())


@pytest.fixture(scope="module")
def sample(cdnow: Path) -> list[dict[str, Any]]:
    return imported("cdnow_sample.toml", cdnow / "CDNOW_sample.txt")


@pytest.fixture(scope="module")
def master(cdnow: Path) -> list[dict[str, Any]]:
    return imported("cdnow_master.toml", cdnow / "CDNOW_master.txt")


def test_the_sample_has_its_published_customers_orders_and_dollars(
    sample: list[dict[str, Any]],
) -> None:
    assert len(sample) == 6_919
    assert len({order["subject"] for order in sample}) == 2_357
    assert dollars(sample) == Decimal("244091.94")


def test_the_first_order_of_the_sample_is_what_the_file_says(sample: list[dict[str, Any]]) -> None:
    assert sample[0] == {
        "specversion": "1.0",
        "id": "1",
        "source": "cdnow-sample",
        "type": "order.completed.v1",
        "subject": "customer:0001",
        "time": "1997-01-01T00:00:00-05:00",
        "sequence": 1,
        "data": {
            "order_id": "cdnow-sample-1",
            "total": {"amount": "29.33", "currency": "USD"},
            "extra": {"units": 2, "master_id": "00004"},
        },
    }


def test_a_second_import_of_the_sample_brings_the_very_same_touchpoints(
    sample: list[dict[str, Any]], cdnow: Path
) -> None:
    assert imported("cdnow_sample.toml", cdnow / "CDNOW_sample.txt") == sample


def test_the_full_file_has_its_published_orders_units_and_dollars(
    master: list[dict[str, Any]],
) -> None:
    assert len(master) == 69_659
    assert len({order["subject"] for order in master}) == 23_570
    assert sum(order["data"]["extra"]["units"] for order in master) == 167_881
    assert dollars(master) == Decimal("2500315.63")


def test_exact_repeats_in_the_full_file_are_orders_of_their_own(
    master: list[dict[str, Any]],
) -> None:
    purchases = Counter(
        (
            order["subject"],
            order["time"],
            order["data"]["total"]["amount"],
            order["data"]["extra"]["units"],
        )
        for order in master
    )
    assert sum(count - 1 for count in purchases.values()) == 255
    assert len({(order["source"], order["id"]) for order in master}) == 69_659
    assert len({order["data"]["order_id"] for order in master}) == 69_659


def test_both_files_can_stand_in_one_ledger(
    sample: list[dict[str, Any]], master: list[dict[str, Any]]
) -> None:
    for name in ("source", "subject"):
        assert not {order[name] for order in sample} & {order[name] for order in master}
    order_ids = {order["data"]["order_id"] for order in sample + master}
    assert len(order_ids) == 6_919 + 69_659


def test_days_begin_at_midnight_on_the_shops_own_clock(master: list[dict[str, Any]]) -> None:
    offsets = {order["time"][10:] for order in master}
    assert offsets == {"T00:00:00-05:00", "T00:00:00-04:00"}
