"""Persons of several subjects: every view by person follows who is one person with whom."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.loyalty import Member
from ledger.decisions import redeem
from ledger.ledger import Ledger
from projections import ranges
from projections.customers import CUSTOMERS
from projections.follow import follow
from projections.loyalty import LOYALTY
from projections.query import Cut, persons_at, state_of, subjects_of, timeline
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.verify import verify, verify_sample
from schemas.envelope import Envelope
from schemas.identity import CustomerMerged
from schemas.touchpoint import Touchpoint
from tests.projections.ledgers import Clock, Workshop, record, rows_of, tell
from tests.schemas.strategies import envelope_of

DAY = 24 * 60 * 60 * 1_000_000
PEOPLE = ("customer:1", "customer:2", "customer:3", "anonymous:a", "email:ana@example.com")
ADDRESSES = ("ana@example.com", "Ana@Example.com", "bo@example.com", "info@example.com")


def fact(id_: str, name: str, subject: str, day: int, **data: Any) -> Envelope[Touchpoint]:
    return envelope_of({
        "specversion": "1.0", "id": id_, "source": "test", "type": name, "subject": subject,
        "time": f"2026-01-{day:02}T10:00:00Z", "data": data,
    })  # fmt: skip


def bought(id_: str, subject: str, day: int, amount: int = 100) -> Envelope[Touchpoint]:
    total = {"amount": str(amount), "currency": "EUR"}
    return fact(id_, "order.completed.v1", subject, day, order_id=id_, total=total)


def merged(id_: str, subject: str, other: str, day: int) -> Envelope[Touchpoint]:
    return fact(id_, "customer.merged.v1", subject, day, other=other, reason="one and the same")


def unmerged(id_: str, subject: str, other: str, day: int, merge: str) -> Envelope[Touchpoint]:
    named = {"merge_id": merge, "merge_source": "test"}
    name = "customer.unmerged.v1"
    return fact(id_, name, subject, day, other=other, reason="two of them", **named)


def described(id_: str, subject: str, day: int, email: str) -> Envelope[Touchpoint]:
    return fact(id_, "customer.described.v1", subject, day, traits={"email": email})


def identity_rules(
    id_: str, valid_from: int, kinds: tuple[str, ...] = ("customer", "email"), **others: Any
) -> Envelope[Touchpoint]:
    data = {"blocked_values": (), "at_most": {}, **others}
    return fact(
        id_, "identity.rules_published.v1", "rules:identity", 1,
        version=1, valid_from=f"2026-01-{valid_from:02}T00:00:00Z", link_kinds=kinds, **data,
    )  # fmt: skip


def tables(ledger: Ledger) -> dict[str, Any]:
    return {view.name: rows_of(ledger, view) for view in PROJECTIONS}


def orders_of(ledger: Ledger, person: str, cut: Cut | None = None) -> set[str] | None:
    state = state_of(ledger, CUSTOMERS, person, cut or Cut())
    return None if state is None else set(state.orders)


@st.composite
def lives(draw: st.DrawFn) -> list[Envelope[Touchpoint]]:
    """Purchases of few people, and all that may be said of who they are."""
    days = st.integers(1, 28)
    told = [
        bought(f"o{n}", draw(st.sampled_from(PEOPLE)), draw(days)) for n in range(draw(days) // 4)
    ]
    joins = []
    for n in range(draw(st.integers(0, 3))):
        subject, other = (draw(st.sampled_from(PEOPLE)) for _ in range(2))
        joins.append(merged(f"m{n}", subject, other, draw(days)))
    for n in range(draw(st.integers(0, 6))):
        address = draw(st.sampled_from(ADDRESSES))
        told.append(described(f"d{n}", draw(st.sampled_from(PEOPLE)), draw(days), address))
    told += joins
    for n, join in enumerate(draw(st.lists(st.sampled_from(joins), max_size=2)) if joins else ()):
        told.append(unmerged(f"u{n}", join.subject, PEOPLE[0], draw(days), join.id))
    for n in range(draw(st.integers(0, 2))):
        kinds = draw(st.sampled_from((("customer",), ("customer", "email", "anonymous"))))
        most = draw(st.sampled_from(({}, {"customer": 2})))
        blocked = draw(st.sampled_from(((), ("INFO@example.com",))))
        rules = identity_rules(f"r{n}", draw(days), kinds, at_most=most, blocked_values=blocked)
        told.append(rules)
    return told


def test_persons_are_the_same_however_the_facts_arrive(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 3)

    @workshop.examples(60)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        records = workshop.records(data.draw(lives()))
        order = data.draw(st.permutations(records))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4)))
        with workshop.ledger() as ledger, workshop.ledger() as orderly:
            for low, high in pairwise((0, *cuts, len(order))):
                record(ledger, order[low:high])
                follow(ledger, PROJECTIONS, batch=data.draw(st.integers(1, 5)))
            record(orderly, records)
            follow(orderly, PROJECTIONS)
            live = tables(ledger)
            assert live == tables(orderly)
            assert [verify(ledger, view).keys for view in PROJECTIONS] == [[] for _ in PROJECTIONS]
            rebuild(ledger, PROJECTIONS)
            assert live == tables(ledger)

    law()


@pytest.mark.parametrize("batch", [1, 1_000])
def test_after_a_merge_there_is_one_view_of_the_union(ledger: Ledger, batch: int) -> None:
    tell(ledger, bought("A", "customer:1", 2), bought("B", "customer:2", 3))
    follow(ledger, PROJECTIONS, batch=batch)
    tell(ledger, merged("m", "customer:2", "customer:1", 4), bought("C", "customer:2", 5))
    follow(ledger, PROJECTIONS, batch=batch)
    assert rows_of(ledger, CUSTOMERS).keys() == {"customer:1"}
    assert orders_of(ledger, "customer:1") == {"A", "B", "C"}
    assert subjects_of(ledger, "customer:1") == ("customer:1", "customer:2")
    told = [t.envelope.id for t in timeline(ledger, "customer:1")]
    assert told == ["A", "B", "m", "C"]


def test_unmerged_both_are_as_if_they_had_never_been_merged(workshop: Workshop) -> None:
    before = [bought("A", "customer:1", 2), bought("B", "customer:2", 3)]
    between = [bought("C", "customer:1", 5), bought("D", "customer:2", 6)]
    merge = merged("m", "customer:1", "customer:2", 4)
    parting = unmerged("u", "customer:1", "customer:2", 7, "m")
    with workshop.ledger() as ledger, workshop.ledger() as never:
        for facts in (before, [merge], between, [parting]):
            tell(ledger, *facts)
            follow(ledger, PROJECTIONS)
        tell(never, *before, *between)
        follow(never, PROJECTIONS)
        assert tables(ledger) == tables(never)
        rebuild(ledger, PROJECTIONS)
        assert tables(ledger) == tables(never)
        both = persons_at(ledger, ["customer:1"], Cut(as_of=parting.at - DAY))
        assert both.person_of("customer:2") == "customer:1"


def test_a_merge_is_seen_from_the_moment_at_which_it_occurred_and_was_known(
    ledger: Ledger, clock: Clock
) -> None:
    tell(ledger, bought("A", "customer:1", 2), bought("B", "customer:2", 3))
    unknown = clock.now
    clock.now += DAY
    merge = merged("m", "customer:1", "customer:2", 4)
    tell(ledger, merge)
    follow(ledger, PROJECTIONS)
    assert orders_of(ledger, "customer:1", Cut(as_of=merge.at)) == {"A", "B"}
    assert orders_of(ledger, "customer:1", Cut(as_of=merge.at - 1)) == {"A"}
    assert orders_of(ledger, "customer:1", Cut(known_at=unknown)) == {"A"}
    assert orders_of(ledger, "customer:2", Cut(known_at=unknown)) == {"B"}


def test_equal_addresses_join_by_rule_whatever_their_letters(ledger: Ledger) -> None:
    tell(ledger, bought("A", "customer:1", 2), described("d", "customer:1", 2, ADDRESSES[0]))
    tell(ledger, bought("B", "customer:2", 3), described("e", "customer:2", 3, ADDRESSES[1]))
    tell(ledger, bought("C", f"email:{ADDRESSES[0]}", 3))
    follow(ledger, PROJECTIONS)
    assert len(rows_of(ledger, CUSTOMERS)) == 3
    tell(ledger, identity_rules("r", 1))
    follow(ledger, PROJECTIONS)
    assert orders_of(ledger, "customer:1") == {"A", "B", "C"}
    assert rows_of(ledger, CUSTOMERS).keys() == {"customer:1"}


def test_a_blocked_address_joins_nobody(ledger: Ledger) -> None:
    tell(ledger, identity_rules("r", 1, blocked_values=["Info@Example.com", "0000"]))
    for number in (1, 2):
        tell(ledger, described(f"d{number}", f"customer:{number}", 2, "info@example.com"))
    follow(ledger, PROJECTIONS)
    assert rows_of(ledger, CUSTOMERS).keys() == {"customer:1", "customer:2"}


def test_a_voided_merge_joins_nobody(ledger: Ledger) -> None:
    tell(ledger, bought("A", "customer:1", 2), bought("B", "customer:2", 3))
    tell(ledger, merged("m", "customer:1", "customer:2", 4))
    follow(ledger, PROJECTIONS)
    named = {"voided_source": "test", "voided_id": "m", "reason": "a slip"}
    tell(ledger, fact("v", "touchpoint.voided.v1", "customer:9", 5, **named))
    follow(ledger, PROJECTIONS)
    assert rows_of(ledger, CUSTOMERS).keys() == {"customer:1", "customer:2"}


def test_points_of_all_that_are_one_person_are_spent_together(ledger: Ledger) -> None:
    earn = [{"rule_id": "r", "on": "order.completed.v1", "points": 60}]
    tell(
        ledger,
        fact(
            "rules", "loyalty.rules_published.v1", "programme:main", 1,
            programme="main", version=1, valid_from="2026-01-01T00:00:00Z", earn=earn,
        ),
        bought("A", "customer:1", 2),
        bought("B", "customer:2", 3),
        merged("m", "customer:1", "customer:2", 4),
    )  # fmt: skip
    assert getattr(redeem(ledger, "customer:2", "main", 100, "one"), "points", None) == 100
    refusal = redeem(ledger, "customer:1", "main", 100, "two")
    assert getattr(refusal, "code", None) == "not_enough"
    follow(ledger, PROJECTIONS)
    member: Member | None = state_of(ledger, LOYALTY, "customer:1")
    assert member is not None
    assert member.programmes.keys() == {"main"}


def test_a_sample_finds_a_row_of_somebody_who_is_another_person_now(ledger: Ledger) -> None:
    from random import Random

    tell(ledger, bought("A", "customer:1", 2), bought("B", "customer:2", 3))
    follow(ledger, PROJECTIONS)
    stale = rows_of(ledger, CUSTOMERS)["customer:2"]
    tell(ledger, merged("m", "customer:1", "customer:2", 4))
    follow(ledger, PROJECTIONS)
    assert verify_sample(ledger, CUSTOMERS, 10, Random(1)).keys == []
    with ledger.store.cursor(write=True) as cursor:
        cursor.insert_rows("customers_1", [stale])
    assert verify_sample(ledger, CUSTOMERS, 10, Random(1)).keys == ["customer:2"]
    assert verify(ledger, CUSTOMERS).keys == ["customer:2"]


def test_a_merge_type_is_no_contact(ledger: Ledger) -> None:
    assert CustomerMerged.CHANNEL is None
    tell(ledger, merged("m", "customer:1", "customer:2", 4))
    follow(ledger, PROJECTIONS)
    assert rows_of(ledger, CUSTOMERS) == {}


def test_several_workers_fold_each_person_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 10)
    monkeypatch.setattr(ranges, "IN_PROCESS_MAX", 0)
    facts = [bought(f"o{n}", f"customer:{n % 20}", 1 + n % 28) for n in range(60)]
    facts += [merged(f"m{n}", f"customer:{n}", f"customer:{n + 7}", 5) for n in range(0, 12, 2)]
    tell(ledger, *facts)
    follow(ledger, PROJECTIONS)
    live = tables(ledger)
    rebuild(ledger, PROJECTIONS, workers=2)
    assert tables(ledger) == live
    assert sum(len(orders_of(ledger, person) or ()) for person in live["customers"]) == 60
