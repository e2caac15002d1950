"""Replay: what a file holds is what a ledger that stopped then would have held."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.lots import balance
from domain.tickets import STATUSES, seconds_in
from ledger.governance import Assumed
from ledger.intake import Stop
from ledger.ledger import Ledger
from projections import ranges
from projections.aside import Labour
from projections.follow import follow
from projections.loyalty import BALANCE, LOYALTY
from projections.query import Cut, states_of
from projections.rebuild import Interrupted
from projections.registry import PROJECTIONS
from projections.replaying import Replayed, replay
from projections.tickets import TICKETS
from projections.view import View
from schemas.identity import CustomerDescribed, CustomerLinked, IdentityRulesPublished, Traits
from tests.domain.loyalty_facts import (
    at,
    cancel_order,
    moment,
    occurred,
    order,
    per,
    published,
    refund,
)
from tests.places import SQLitePlaces, a_place, plain_connection
from tests.projections.fussy import FUSSY, POISON
from tests.projections.ledgers import Clock, Workshop, changed, dump, logged, opened, record, tell
from tests.projections.lives import arrivals
from tests.projections.test_query import DAY, every_key, moments, what_a_ledger_would_say

Rows = dict[str, dict[str, Any]]


def replayed(
    ledger: Ledger, file: Path, cut: Cut, views: tuple[View, ...] = PROJECTIONS, **more: Any
) -> Replayed:
    file.unlink(missing_ok=True)
    labour = more.pop("labour", Labour())
    return replay(ledger, file, views, cut, labour=labour, **more)


def table(file: Path, name: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {name} ORDER BY 1")]


def states(file: Path, view: View) -> dict[str, Any]:
    """The states in a file, by key."""
    rows = {r["key"]: r["state"] for r in table(file, view.name)}
    return {key: msgspec.json.decode(s, type=view.state) for key, s in rows.items()}


def description(file: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("SELECT * FROM replay").fetchone())


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 4)


@pytest.mark.usefixtures("small_ranges")
def test_a_replay_of_any_two_moments_is_what_a_ledger_that_stopped_then_would_hold(
    workshop: Workshop, tmp_path: Path
) -> None:
    @workshop.examples(40)
    @given(data=st.data(), as_of=moments)
    def law(data: st.DataObject, as_of: int | None) -> None:
        arrival = data.draw(arrivals(workshop))
        clock = Clock()
        with workshop.ledger(clock) as ledger:
            recorded = [clock.now]
            for group in arrival.groups:
                record(ledger, group)
                recorded.append(clock.now)
                clock.now += DAY
            follow(ledger, PROJECTIONS)
            known_at = data.draw(st.none() | st.sampled_from(recorded))
            _is_what_was_held(ledger, tmp_path / "replay.db", Cut(as_of, known_at))

    law()


def _is_what_was_held(ledger: Ledger, file: Path, cut: Cut) -> None:
    done = replayed(ledger, file, cut)
    assert done.failed == []
    for view in PROJECTIONS:
        found = states(file, view)
        assert found == what_a_ledger_would_say(ledger, view, cut)
        keys = [*every_key(view, ledger), *found]
        assert found == states_of(ledger, view, keys, cut)
        assert done.views[view.name] == len(found)
    _moment_is_written(file, done.moment)


def _moment_is_written(file: Path, when: int) -> None:
    """What depends on the moment is what the domain says of it."""
    expected = [
        {"key": key, "programme": name}
        | {figure: getattr(balance(account, when), figure) for figure in BALANCE}
        for key, member in states(file, LOYALTY).items()
        for name, account in sorted(member.programmes.items())
    ]
    assert table(file, "loyalty_balances") == expected
    spent = {key: seconds_in(ticket, when) for key, ticket in states(file, TICKETS).items()}
    written = {row.pop("key"): row for row in table(file, "ticket_seconds")}
    assert written == {key: {s: of[s] for s in STATUSES} for key, of in spent.items()}


def test_it_equals_the_live_tables_of_a_ledger_that_was_told_no_more(
    workshop: Workshop, tmp_path: Path
) -> None:
    told = [order("2026-01-05", "A1", 100), refund("2026-01-04", "A1", 30)]
    later = [refund("2026-01-06", "A1", 20), order("2026-01-05", "A2", 10)]
    files = tmp_path / "then.db", tmp_path / "now.db"
    with workshop.ledger() as ledger:
        tell(ledger, *told)
        before = ledger.log.head().recorded_at
        tell(ledger, *later)
        replayed(ledger, files[0], Cut(known_at=before))
    with workshop.ledger() as ledger:
        tell(ledger, *told)
        follow(ledger, PROJECTIONS)
        replayed(ledger, files[1], Cut())
    for view in PROJECTIONS:
        assert table(files[0], view.name) == table(files[1], view.name)


def test_its_columns_are_those_that_analysts_see(
    sqlite_places: SQLitePlaces, tmp_path: Path
) -> None:
    file = tmp_path / "replay.db"
    with a_place(sqlite_places) as address, opened(address) as ledger:
        tell(ledger, order("2026-01-05", "A1", "100.50"), order("2026-01-05", "A2", "20.10"))
        tell(ledger, refund("2026-01-06", "A1", "30.25"), cancel_order("2026-01-07", "A2"))
        follow(ledger, PROJECTIONS)
        replayed(ledger, file, Cut())
        with plain_connection(address) as connection:
            connection.row_factory = sqlite3.Row
            for view in PROJECTIONS:
                live = connection.execute(f"SELECT * FROM {view.name} ORDER BY key")
                assert table(file, view.name) == [dict(row) for row in live]


def test_the_ledger_is_as_it_was(ledger: Ledger, tmp_path: Path) -> None:
    tell(ledger, order("2026-01-05", "A1", 100), published(1, "2026-01-01", per(1, 10)))
    follow(ledger, PROJECTIONS)
    before = dump(ledger), logged(ledger)
    replayed(ledger, tmp_path / "replay.db", Cut(as_of=at("2026-01-05")))
    assert (dump(ledger), logged(ledger)) == before


def test_who_was_not_one_person_yet_is_not_one_in_the_replay(
    ledger: Ledger, tmp_path: Path
) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    tell(ledger, changed(order("2026-01-05", "A2", 100), subject="customer:7"))
    tell(ledger, occurred("2026-02-01", CustomerLinked(other="customer:7")))
    file = tmp_path / "replay.db"
    replayed(ledger, file, Cut(as_of=at("2026-01-31")))
    assert [row["key"] for row in table(file, "customers")] == ["customer:42", "customer:7"]
    replayed(ledger, file, Cut(as_of=at("2026-02-01")))
    assert [row["orders"] for row in table(file, "customers")] == [2]


def test_assumed_rules_of_identity_join_persons_for_this_replay(
    ledger: Ledger, tmp_path: Path
) -> None:
    for subject in ("customer:42", "customer:7"):
        named = CustomerDescribed(traits=Traits(email="ana@example.com"))
        tell(ledger, changed(occurred("2026-01-05", named, subject), subject=subject))
    rules = IdentityRulesPublished(
        version=1,
        valid_from=moment("2026-01-01"),
        link_kinds=("customer", "email"),
        blocked_values=(),
        at_most={},
    )
    file = tmp_path / "replay.db"
    replayed(ledger, file, Cut(), assumed=[Assumed(occurred("2026-01-01", rules))])
    assert [row["key"] for row in table(file, "customers")] == ["customer:42"]
    replayed(ledger, file, Cut())
    assert len(table(file, "customers")) == 2


def test_assumed_rules_hold_for_this_replay_alone_whenever_they_were_published(
    ledger: Ledger, tmp_path: Path
) -> None:
    tell(ledger, published(1, "2026-01-01", per(1, 100)), order("2026-01-05", "A1", 1_000))
    dearer = published(2, "2026-01-01", per(1, 200), when="2030-01-01")
    file, cut = tmp_path / "replay.db", Cut(as_of=at("2026-01-31"))
    done = replayed(ledger, file, cut, assumed=[Assumed(dearer)], rules_digest="abc")
    assert [row["earned"] for row in table(file, "loyalty_balances")] == [5]
    assert (done.idle, description(file)["rules"]) == ([], "abc")
    replayed(ledger, file, cut)
    assert [row["earned"] for row in table(file, "loyalty_balances")] == [10]
    assert description(file)["rules"] is None


def test_an_assumed_rule_takes_the_place_of_the_one_with_its_source_and_id(
    ledger: Ledger, tmp_path: Path
) -> None:
    first = published(1, "2026-01-01", per(1, 100))
    tell(ledger, first, order("2026-01-05", "A1", 1_000))
    other = changed(published(1, "2026-01-01", per(1, 500)), id=first.id)
    file = tmp_path / "replay.db"
    replayed(ledger, file, Cut(), assumed=[Assumed(other)])
    assert [row["earned"] for row in table(file, "loyalty_balances")] == [2]


def test_a_rule_that_another_overrides_is_told(ledger: Ledger, tmp_path: Path) -> None:
    tell(ledger, published(2, "2026-01-01", per(1, 100)))
    overridden = changed(published(1, "2026-01-01", per(1, 500)), id="older")
    done = replayed(ledger, tmp_path / "replay.db", Cut(), assumed=[Assumed(overridden)])
    assert done.idle == [("main", 1)]


@pytest.mark.usefixtures("small_ranges")
def test_keys_that_cannot_be_folded_are_told_and_the_others_are_there(
    ledger: Ledger, tmp_path: Path
) -> None:
    tell(ledger, order("2026-01-05", "A1", 100), order("2026-01-05", "A2", 100))
    tell(ledger, changed(refund("2026-01-06", "A1", 5, POISON), subject="customer:7"))
    cancelled = changed(cancel_order("2026-01-07", "A2"), subject="customer:9")
    tell(ledger, cancelled)  # alone, its fold would fail
    file = tmp_path / "replay.db"
    done = replayed(ledger, file, Cut(), (FUSSY,))
    assert [row["key"] for row in table(file, "fussy")] == ["A2"]
    assert [(view, key) for view, key, _ in done.failed] == [("fussy", "A1")]
    assert table(file, "failed")[0]["error"].startswith("ValueError in")


def test_several_processes_write_what_one_does(
    sqlite_places: SQLitePlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE_TOUCHPOINTS", 4)
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    dearer = Assumed(published(2, "2026-01-01", per(1, 200)))
    cut = Cut(as_of=at("2026-01-06"))
    with a_place(sqlite_places) as address, opened(address) as ledger:
        tell(ledger, published(1, "2026-01-01", per(1, 100)))
        for number in range(9):
            made = order(f"2026-01-0{number + 1}", f"A{number}", 1_000)
            tell(ledger, changed(made, subject=f"customer:{number}"))
        replayed(ledger, one, cut, assumed=[dearer])
        monkeypatch.setattr(ranges, "IN_PROCESS_MAX", 0)
        replayed(ledger, two, cut, assumed=[dearer], labour=Labour(workers=2))
    for name in (*(view.name for view in PROJECTIONS), "loyalty_balances"):
        assert table(one, name) == table(two, name)
    assert len(table(one, "loyalty_balances")) == 6


def test_the_file_says_what_it_is_of(ledger: Ledger, tmp_path: Path) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    known_at = ledger.log.head().recorded_at
    tell(ledger, order("2026-01-06", "A2", 100))
    file, as_of = tmp_path / "replay.db", at("2026-01-05")
    done = replayed(ledger, file, Cut(as_of, known_at))
    told = description(file)
    assert (told["as_of"], told["moment"]) == ("2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z")
    assert (told["position"], told["head"], told["touchpoints"]) == (1, 2, 1)
    assert (told["format"], told["ledger"]) == (1, ledger.keys.ledger_id)
    assert (done.touchpoints, done.moment) == (1, as_of)


def test_who_stops_it_stops_it(ledger: Ledger, tmp_path: Path) -> None:
    tell(ledger, order("2026-01-05", "A1", 100))
    stop = Stop()
    stop.signal = 2
    with pytest.raises(Interrupted, match="the ledger is as it was"):
        replayed(ledger, tmp_path / "replay.db", Cut(), labour=Labour(stop=stop))


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_but_the_file_is_left_in_its_folder(
    ledger: Ledger, tmp_path: Path, stopped: bool
) -> None:
    tell(ledger, *(order(f"2026-01-0{day}", f"A{day}", 100) for day in range(1, 9)))
    stop, folder = Stop(), tmp_path / "replays"
    folder.mkdir()
    if stopped:
        stop.signal = 2
        with pytest.raises(Interrupted):
            replayed(ledger, folder / "replay.db", Cut(), labour=Labour(stop=stop))
    else:
        replayed(ledger, folder / "replay.db", Cut(), labour=Labour(stop=stop))
    assert [file.name for file in folder.iterdir()] == ["replay.db"]
