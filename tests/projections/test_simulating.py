"""Simulating: with the rules as they are, nothing changes; with others, it is what a replay has."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ledger.governance import Assumed
from ledger.ledger import Ledger
from projections.aside import Labour
from projections.loyalty import LOYALTY
from projections.query import Cut
from projections.simulating import Simulated, simulate
from schemas.fields import rfc3339
from schemas.loyalty import LoyaltyRulesPublished
from tests.domain.loyalty_facts import fixed, order, per, published, refund
from tests.projections.fussy import POISON
from tests.projections.ledgers import Workshop, changed, logged, record, tell
from tests.projections.lives import arrivals
from tests.projections.oracle import standing
from tests.projections.test_query import moments
from tests.projections.test_replaying import replayed, table

FIGURES = ("earned", "spent", "expired", "outstanding", "negative")


def simulated(ledger: Ledger, cut: Cut, *assumed: Assumed) -> Simulated:
    return simulate(ledger, cut, None, lambda at: rfc3339(at)[:7], assumed, Labour())


def balances(ledger: Ledger, file: Path, cut: Cut, *assumed: Assumed) -> dict[str, list[int]]:
    """The sums of all accounts that a replay has, by programme."""
    replayed(ledger, file, cut, (LOYALTY,), assumed=assumed)
    sums: dict[str, list[int]] = {}
    for row in table(file, "loyalty_balances"):
        so_far = sums.get(row["programme"], [0] * len(FIGURES))
        sums[row["programme"]] = [
            total + row[name] for total, name in zip(so_far, FIGURES, strict=True)
        ]
    return sums


def test_own_rules_change_nothing_and_others_give_what_a_replay_of_them_has(
    workshop: Workshop, tmp_path: Path
) -> None:
    other = Assumed(
        published(9, "2026-01-10", fixed(2), fixed(3, "page.viewed.v1"), expires_after_days=30)
    )

    @workshop.examples(20)
    @given(data=st.data(), as_of=moments.filter(lambda at: at is not None))
    def law(data: st.DataObject, as_of: int) -> None:
        with workshop.ledger() as ledger:
            for group in data.draw(arrivals(workshop)).groups:
                record(ledger, group)
            cut, file = Cut(as_of), tmp_path / "replay.db"
            own = [
                Assumed(fact)
                for fact in standing(logged(ledger))
                if fact.type == LoyaltyRulesPublished.TYPE and fact.at <= as_of
            ]
            found = simulated(ledger, cut, *own)
            assert all(programme.same for programme in found.programmes.values())
            found = simulated(ledger, cut, other)
            for side, assumed in (("actual", ()), ("simulated", (other,))):
                sums = {}
                for name, programme in found.programmes.items():
                    made = getattr(programme, side)
                    if made.members:
                        flow = made.total
                        sums[name] = [flow.earned, flow.spent, flow.expired]
                        sums[name] += [made.outstanding, made.negative]
                assert sums == balances(ledger, file, cut, *assumed)

    law()


def test_revenue_is_net_and_by_currency(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 100), refund("2026-01-06", "A1", 30))
    tell(ledger, order("2026-01-07", "A2", "20.50", "EUR"))
    tell(ledger, changed(order("2026-01-07", "A3", 5, POISON), subject="customer:7"))
    found = simulated(ledger, Cut(), Assumed(published(1, "2026-01-01", per(1, 10))))
    assert found.revenue == {"ZAR": "70", "EUR": "20.50", "JPY": "5"}
    (main,) = found.programmes.values()
    assert (main.actual.members, main.simulated.total.earned) == (0, 7)
