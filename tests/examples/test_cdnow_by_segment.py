"""CDNOW's sample sent order by order by a library of Segment, beside the import of its file."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.ledger import open_ledger
from projections.customers import CUSTOMERS
from projections.query import walk
from tests.cli.running import Shell
from tests.examples.test_cdnow import EXAMPLES, imported
from tests.web.clients.libraries import LIBRARIES
from tests.web.serving import serving
from web.settings import Settings

MAPPING = "cdnow_sample.toml"
SOURCE = "cdnow-sample"
TOGETHER = 500
SEGMENT = LIBRARIES[0]


@pytest.fixture
def by_import(cdnow: Path, tmp_path: Path) -> Shell:
    """A ledger into which the file was imported."""
    shell = _new_ledger(tmp_path / "imported")
    file = str(cdnow / "CDNOW_sample.txt")
    assert shell("import", file, "--mapping", str(EXAMPLES / MAPPING)).code == 0
    return shell


@pytest.fixture
def by_segment(cdnow: Path, tmp_path: Path) -> Shell:
    """A ledger to which the same orders were sent, one by one."""
    shell = _new_ledger(tmp_path / "sent")
    calls = [_call(order) for order in imported(MAPPING, cdnow / "CDNOW_sample.txt")]
    with (
        open_ledger(shell.address) as ledger,
        serving(ledger, Settings(historical=frozenset({SOURCE}))) as running,
    ):
        secret = running.secret(source=SOURCE)
        with SEGMENT.sending(running.url, secret, TOGETHER, calls) as sending:
            sending.end()
    assert shell("projection", "run").code == 0
    return shell


def test_orders_sent_by_a_library_give_the_same_customers_as_the_import_of_the_file(
    by_import: Shell, by_segment: Shell
) -> None:
    customers = _customers(by_import)
    assert len(customers) == 2_357
    assert _customers(by_segment) == customers


def _customers(shell: Shell) -> dict[str, dict[str, Any]]:
    """All that stands in the view, but for two things that the library has a say in.

    It makes the ids of touchpoints, of which the last is in the view. And what the file has as
    43.70 is a number for it, which it sends as 43.7.
    """
    with open_ledger(shell.address) as ledger:
        rows = {key: msgspec.to_builtins(state) for key, state in walk(ledger, CUSTOMERS)}
    for row in rows.values():
        del row["last_id"]
        row["orders"] = {
            order: [at, Decimal(total), *more]
            for order, (at, total, *more) in row["orders"].items()
        }
    return rows


def _new_ledger(folder: Path) -> Shell:
    folder.mkdir()
    shell = Shell(folder)
    assert shell("init").code == 0
    return shell


def _call(order: dict[str, Any]) -> dict[str, Any]:
    """An order as whoever uses the library would tell it."""
    data = order["data"]
    return {
        "method": "track",
        "event": "Order Completed",
        "userId": order["subject"].removeprefix("customer:"),
        "timestamp": order["time"],
        "properties": {
            "order_id": data["order_id"],
            "total": float(data["total"]["amount"]),
            "currency": data["total"]["currency"],
            "units": data["extra"]["units"],
        },
    }
