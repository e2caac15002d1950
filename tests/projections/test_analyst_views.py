"""The SQL views for analysts: on both stores they show what the views say, whatever is live."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.demo_year import benchmark_lines
from domain import orders as order_rules
from ledger.errors import LedgerError
from ledger.intake import take
from ledger.ledger import Ledger, open_ledger
from ledger.lines import read_touchpoints
from ledger.postgres.address import PostgresAddress
from projections import generations
from projections.customers import CUSTOMERS
from projections.follow import follow
from projections.loyalty import LOYALTY
from projections.orders import ORDERS
from projections.query import walk
from projections.rebuild import rebuild, rollback
from projections.registry import PROJECTIONS
from projections.tickets import TICKETS
from projections.view import Column, View
from tests.domain.loyalty_facts import cancel_order, order, refund
from tests.house.sources import ROOT
from tests.places import Places, PostgresPlaces, plain_connection
from tests.projections.ledgers import changed, rows_of, tell

PAGE = (ROOT / "docs/VIEWS.md").read_text("utf-8")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(places: Places) -> Iterator[Ledger]:
    address = places.taken()
    with open_ledger(address) as opened:
        yield opened
    places.give_back(address)


def shown(ledger: Ledger, name: str) -> dict[str, dict[str, Any]]:
    """The rows of an SQL view by key, as any program of the database reads them."""
    with plain_connection(ledger.address) as connection:
        rows = connection.execute(f"SELECT * FROM {name}")
        names = [column[0] for column in rows.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in rows.fetchall()}


def moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def expected(view: View, state: Any) -> dict[str, Any]:
    values = {}
    for column in view.columns:
        value = getattr(state, column.path)
        if column.kind == "time" and value is not None:
            value = EPOCH + timedelta(microseconds=value)
        values[column.name] = None if value == "" else value
    return values


def columns_agree(ledger: Ledger) -> None:
    """Every column of every view says what the state says that the ledger serves."""
    for view in PROJECTIONS:
        there, states = shown(ledger, view.name), dict(walk(ledger, view))
        assert states.keys() == there.keys()
        for key, state in states.items():
            row = there[key]
            for column in view.columns:
                if column.kind == "time":
                    row[column.name] = moment(row[column.name])
            assert {c.name: row[c.name] for c in view.columns} == expected(view, state)
            document = (
                row["state"] if isinstance(row["state"], str) else msgspec.json.encode(row["state"])
            )
            assert msgspec.json.decode(document, type=view.state) == state


def figures_agree(ledger: Ledger) -> None:
    """Orders and customers reckon in SQL what the domain reckons."""
    there = shown(ledger, "orders")
    for key, state in walk(ledger, ORDERS):
        told = order_rules.show(state)
        row = there[key]
        assert row["status"] == told["status"]
        for name in ("total", "refunded"):
            amount = None if row[name] is None else round(Decimal(str(row[name])), 6)
            assert amount == (told[name] and Decimal(told[name]["amount"]))
    there = shown(ledger, "customers")
    for key, state in walk(ledger, CUSTOMERS):
        standing = [purchase for purchase in state.orders.values() if not purchase.cancelled]
        assert there[key]["orders"] == len(standing)
    there = shown(ledger, "loyalty")
    for key, member in rows_of(ledger, LOYALTY).items():
        programmes = msgspec.json.decode(member.state).get("programmes", {})
        assert there[key]["programmes"] == len(programmes)


def test_they_equal_the_states_after_append_after_a_rebuild_and_after_a_rollback(
    ledger: Ledger,
) -> None:
    lines = list(benchmark_lines(20, 600))
    take(ledger, read_touchpoints_of(lines[:400]))
    follow(ledger, PROJECTIONS)
    columns_agree(ledger)
    figures_agree(ledger)
    rebuild(ledger, PROJECTIONS)
    take(ledger, read_touchpoints_of(lines[400:]))
    follow(ledger, PROJECTIONS)
    columns_agree(ledger)
    for view in PROJECTIONS:
        rollback(ledger, view)
    columns_agree(ledger)
    figures_agree(ledger)
    rebuild(ledger, PROJECTIONS)
    rebuild(ledger, PROJECTIONS)
    columns_agree(ledger)


def read_touchpoints_of(lines: list[bytes]) -> Any:
    return read_touchpoints(io.BytesIO(b"\n".join(lines)), "test", "lines")


AMOUNTS = st.decimals("0", "9999.99", places=2).map(str)


@settings(max_examples=20)
@given(data=st.data())
def test_orders_stand_in_sql_as_they_stand_in_the_domain(places: Places, data: Any) -> None:
    address = places.taken()
    facts = []
    for number in range(4):
        name, total = f"A{number}", data.draw(AMOUNTS)
        told = [order("2026-01-05", name, total)] * data.draw(st.booleans())
        given_back = data.draw(st.lists(AMOUNTS | st.just(total), max_size=3))
        for count, amount in enumerate(given_back):
            currency = data.draw(st.sampled_from(["ZAR", "ZAR", "EUR"]))
            one = refund(f"2026-01-{6 + count:02}", name, amount, currency)
            whose = data.draw(st.sampled_from([one.subject, one.subject, "customer:else"]))
            told.append(changed(one, id=f"{name}-{count}", subject=whose))
        told += [cancel_order("2026-02-01", name)] * data.draw(st.booleans())
        facts += [changed(t, id=f"{number}-{n}") for n, t in enumerate(told)]
    with open_ledger(address) as ledger:
        if facts:
            tell(ledger, *facts)
        follow(ledger, PROJECTIONS)
        columns_agree(ledger)
        figures_agree(ledger)
    places.give_back(address)


def test_every_column_is_of_the_kind_of_its_field() -> None:
    of_types = {int: {"integer", "time"}, str: {"text", "amount"}}
    for view in PROJECTIONS:
        hints = get_type_hints(view.state)
        for column in view.columns:
            hint = hints[column.path]
            (plain,) = {*(get_args(hint) or (hint,))} - {NoneType}
            assert column.kind in of_types[plain], (view.name, column.name)


def test_the_page_for_analysts_names_every_column_with_its_kind() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE))
    for view in PROJECTIONS:
        told = re.findall(r"^\| `(\w+)` \| (\w+) \|", sections[view.name], re.MULTILINE)
        made = [(column.name, column.kind) for column in view.columns]
        made += [(figure.name, figure.kind) for figure in view.figures]
        assert told == [("key", "text"), *made, ("state", "state")]


def test_the_examples_of_the_page_for_analysts_run(places: Places, ledger: Ledger) -> None:
    take(ledger, read_touchpoints_of(list(benchmark_lines(20, 600))))
    follow(ledger, PROJECTIONS)
    everywhere, on_postgres, on_sqlite = re.split(r"^### On \w+$", PAGE, flags=re.MULTILINE)
    own = on_postgres if places.kind == "postgres" else on_sqlite
    examples = re.findall(r"^```sql\n(.*?)^```$", everywhere + own, re.DOTALL | re.MULTILINE)
    with plain_connection(ledger.address) as connection:
        for example in examples:
            assert connection.execute(example).fetchall(), example
    assert len(examples) >= 4


def test_a_view_without_rows_is_there_and_empty(ledger: Ledger) -> None:
    follow(ledger, PROJECTIONS)
    assert [shown(ledger, view.name) for view in PROJECTIONS] == [{}] * len(PROJECTIONS)


def test_a_table_of_another_version_is_shown_with_the_columns_that_it_has(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 1_000))
    follow(ledger, [ORDERS])
    newer = replace(ORDERS, version=2, columns=(Column("whose", "customer"),))
    generations.refresh_analyst_views([newer], ledger.store)
    follow(ledger, [newer])
    assert "customer" in shown(ledger, "orders")["A1"]
    rebuild(ledger, [newer])
    (row,) = shown(ledger, "orders").values()
    assert "customer" not in row
    assert row["whose"] == order("2026-01-05", "A1", 1_000).subject


def test_views_that_are_missing_or_have_other_columns_are_made(ledger: Ledger) -> None:
    tell(ledger, order("2026-01-05", "A1", 1_000))
    follow(ledger, PROJECTIONS)
    with plain_connection(ledger.address) as connection:
        connection.execute("DROP VIEW orders")
    fewer = replace(TICKETS, columns=TICKETS.columns[:2])
    generations.refresh_analyst_views([ORDERS, fewer], ledger.store)
    assert shown(ledger, "orders").keys() == {"A1"}
    generations.refresh_analyst_views(PROJECTIONS, ledger.store)
    columns_agree(ledger)


class TestOnPostgres:
    """What only a server has: types, grants, and what others build on a view."""

    @pytest.fixture
    def ledger(self, postgres_places: PostgresPlaces) -> Iterator[Ledger]:
        address = postgres_places.taken()
        with open_ledger(address) as opened:
            tell(opened, order("2026-01-05", "A1", "12.50"))
            follow(opened, PROJECTIONS)
            yield opened
        postgres_places.give_back(address)

    def test_columns_have_real_types(self, ledger: Ledger) -> None:
        row = shown(ledger, "orders")["A1"]
        assert row["completed_at"] == datetime(2026, 1, 5, tzinfo=UTC)
        assert row["total"] == Decimal("12.50")
        assert isinstance(row["state"], dict)
        with plain_connection(ledger.address) as connection:
            types = connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = 'customers'::regclass AND attname IN ('last_seen', 'orders')"
            ).fetchall()
        assert dict(types) == {"last_seen": "timestamp with time zone", "orders": "bigint"}

    def test_what_was_granted_outlives_a_rebuild_and_new_columns(self, ledger: Ledger) -> None:
        fewer = replace(ORDERS, columns=ORDERS.columns[:1])
        with plain_connection(ledger.address) as connection:
            connection.execute("GRANT SELECT ON orders TO PUBLIC")
            for view in (ORDERS, fewer):
                rebuild(ledger, [view])
                allowed = connection.execute(
                    "SELECT has_table_privilege('pg_monitor', 'orders', 'SELECT')"
                )
                assert allowed.fetchone() == (True,)

    def test_views_of_analysts_follow_the_switch_and_forbid_other_columns(
        self, ledger: Ledger
    ) -> None:
        assert isinstance(ledger.address, PostgresAddress)
        with plain_connection(ledger.address) as connection:
            connection.execute("CREATE VIEW mine AS SELECT sum(total) AS all_of_it FROM orders")
            for number in range(2, 5):
                rebuild(ledger, [ORDERS])
                tell(ledger, changed(order("2026-01-05", f"A{number}", "12.50"), id=f"{number}"))
                follow(ledger, [ORDERS])
            assert connection.execute("SELECT * FROM mine").fetchone() == (Decimal("50.00"),)
            with pytest.raises(LedgerError, match="drop those first"):
                rebuild(ledger, [replace(ORDERS, columns=ORDERS.columns[:1])])
            assert connection.execute("SELECT * FROM mine").fetchone() == (Decimal("50.00"),)

    def test_a_lookup_by_key_goes_by_the_index(self, ledger: Ledger) -> None:
        with plain_connection(ledger.address) as connection:
            connection.execute("SET enable_seqscan = off")
            plan = connection.execute("EXPLAIN SELECT status FROM orders WHERE key = 'A1'")
            told = "\n".join(line for (line,) in plan.fetchall())
        assert "_key" in told, told
