"""Verifying a sample: quick on a large ledger, and it finds what is wrong, too much or missing."""

from random import Random

import pytest

from ledger.ledger import Ledger
from projections.registry import PROJECTIONS
from projections.verify import Verified, verify_sample
from projections.view import View
from tests.projections.test_verify import BY_EVERY_VIEW, TOLD, change, followed, key_of

pytestmark = pytest.mark.usefixtures(followed.__name__)
ENOUGH = 100


def sampled(ledger: Ledger, view: View) -> Verified:
    """A sample that is as large as the whole ledger of these tests."""
    return verify_sample(ledger, view, ENOUGH, Random(1))


@BY_EVERY_VIEW
def test_a_table_that_is_as_it_should_be_has_no_differences(ledger: Ledger, view: View) -> None:
    found = sampled(ledger, view)
    assert (found.position, found.rows, found.differences) == (TOLD, 1, 0)


@BY_EVERY_VIEW
def test_a_changed_row_is_found(ledger: Ledger, view: View) -> None:
    change(ledger, view, "UPDATE {table} SET state = '{{}}'")
    assert sampled(ledger, view).keys == [key_of(ledger, view)]


@BY_EVERY_VIEW
def test_a_missing_row_is_found_by_the_touchpoints_of_the_log(ledger: Ledger, view: View) -> None:
    key = key_of(ledger, view)
    change(ledger, view, "DELETE FROM {table}")
    assert sampled(ledger, view).keys == [key]


@BY_EVERY_VIEW
def test_an_extra_row_is_found(ledger: Ledger, view: View) -> None:
    change(ledger, view, "INSERT INTO {table} VALUES ('nobody', '[0,0,\"\",\"\"]', NULL, '{{}}')")
    assert sampled(ledger, view).keys == ["nobody"]


def test_a_sample_is_as_small_as_it_was_asked_to_be(ledger: Ledger) -> None:
    for view in PROJECTIONS:
        assert verify_sample(ledger, view, 1, Random(1)).rows <= 2
