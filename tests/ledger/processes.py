"""Processes of a test's own that start in no time: what forks them has everything imported."""

import multiprocessing
from multiprocessing.context import ForkServerContext

IMPORTED = (
    "ledger.postgres.store",
    "ledger.sqlite.store",
    "tests.ledger.test_keys",
    "tests.ledger.test_redeem_concurrency",
)
"""There is one that forks for all tests, and it imports once: so this is for all of them."""


def forked() -> ForkServerContext:
    """As `multiprocessing.get_context` gives it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context
