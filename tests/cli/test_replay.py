"""`touchstone replay`: files of any day and any rules, on made-up rows and on real purchases."""

import csv
import json
import os
import signal
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from projections import aside
from projections.ranges import Folded, fold_ranges
from tests.cli.facts import described, order, programme, record, ticket
from tests.cli.running import Ran, Shell
from tests.examples.conftest import cdnow

__all__ = ["cdnow"]
EXAMPLES = Path(__file__).parents[2] / "examples"


def asked(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def replay(shell: Shell, name: str, *options: str) -> Ran:
    return shell("replay", "--into", str(shell.folder / name), "-o", "json", *options)


@pytest.fixture
def busy(shell: Shell) -> Shell:
    """Two orders and a ticket, in January and February."""
    record(
        shell,
        programme(),
        described(name="Ana Rossi", email="ana@example.com"),
        order("A1", "1000", "2026-01-05T10:00:00Z"),
        ticket("opened", "T1", "2026-01-20T10:00:00Z"),
        order("A2", "200", "2026-02-05T10:00:00Z"),
    )
    return shell


def test_a_replay_says_how_much_it_wrote_and_where(busy: Shell) -> None:
    ran = replay(busy, "january.db", "--as-of", "2026-01-31")
    assert ran.code == 0, ran.err
    assert (ran.json["touchpoints"], ran.json["failed"]) == (4, 0)
    assert ran.json["views"] == {
        "customers": 1, "tickets": 1, "loyalty": 1, "orders": 1, "consents": 0,
    }  # fmt: skip
    file = Path(ran.json["file"])
    assert asked(file, "SELECT programme, active, outstanding FROM loyalty_balances") == [
        ("main", 100, 100)
    ]
    assert asked(file, "SELECT as_of, known_at FROM replay") == [
        ("2026-01-31T23:59:59.999999Z", None)
    ]
    assert [path.name for path in busy.folder.iterdir() if "replay" in path.name] == []


def test_people_read_a_summary(busy: Shell) -> None:
    page = replay(busy, "january.db", "--as-of", "2026-01-31", "-o", "table").out
    assert "4 touchpoints as of 2026-01-31 23:59:59" in page
    assert "customers   1 row" in page


def test_personal_data_stay_encrypted_and_the_file_is_its_owners_alone(busy: Shell) -> None:
    file = Path(replay(busy, "now.db").json["file"])
    content = file.read_bytes()
    assert b"Ana" not in content
    assert b"ana@example" not in content
    assert file.stat().st_mode & 0o077 == 0


def test_only_the_views_that_are_asked_for(busy: Shell) -> None:
    ran = replay(busy, "some.db", "--only", "tickets", "--only", "orders")
    assert ran.json["views"] == {"tickets": 1, "orders": 2}
    tables = {name for (name,) in asked(Path(ran.json["file"]), "SELECT name FROM views")}
    assert tables == {"tickets", "orders"}


def test_a_file_is_written_over_by_those_who_say_so(busy: Shell) -> None:
    assert replay(busy, "a.db", "--as-of", "2026-01-31").code == 0
    before = (busy.folder / "a.db").read_bytes()
    refused = replay(busy, "a.db")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert (busy.folder / "a.db").read_bytes() == before
    assert replay(busy, "a.db", "--yes").json["touchpoints"] == 5
    assert busy("replay").code == 2
    assert replay(busy, "no/such/folder/a.db").code == 2


def test_rules_are_checked_as_at_any_door_and_hold_for_this_replay_alone(busy: Shell) -> None:
    head = busy("log", "tail", "-n", "1").json["position"]
    dearer = programme(version=2)
    dearer["data"]["earn"][0]["per"]["amount"] = "20"
    rules = busy.write("rules.ndjson", json.dumps(dearer).encode())
    file = Path(replay(busy, "dearer.db", "--rules", rules).json["file"])
    assert asked(file, "SELECT earned FROM loyalty_balances") == [(60,)]
    assert busy("loyalty", "balance", "customer:42").json["earned"] == 120
    assert busy("log", "tail", "-n", "1").json["position"] == head
    (digest,) = asked(file, "SELECT length(rules) FROM replay")
    assert digest == (64,)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"type": "x"}\n', "line 1: type"),
        (json.dumps(programme(version=0)).encode(), "line 1: data.version"),
        (b"\n" + json.dumps(order("A1", "1", "2026-01-05T10:00:00Z")).encode(), "expected a rule"),
        (2 * (json.dumps(programme()).encode() + b"\n"), "line 2: a rule before it"),
        (b"\n", "there is no rule in it"),
    ],
)
def test_a_rule_that_the_door_would_refuse_is_refused_with_its_line(
    file_shell: Shell, content: bytes, complaint: str
) -> None:
    rules = file_shell.write("rules.ndjson", content)
    ran = replay(file_shell, "a.db", "--rules", rules)
    assert ran.code == 2
    assert complaint in ran.err
    assert not (file_shell.folder / "a.db").exists()


def test_two_replays_are_compared_by_view_and_key(busy: Shell) -> None:
    january = replay(busy, "january.db", "--as-of", "2026-01-31").json["file"]
    now = replay(busy, "now.db").json["file"]
    ran = busy("replay", "diff", january, now, "--only", "orders", "-o", "json")
    assert ran.code == 0
    assert ran.json == [{"view": "orders", "key": "A2", "difference": "only in B", "fields": []}]
    assert "orders: 0 only in A, 1 only in B, 0 differ" in ran.err
    counts = busy("replay", "diff", january, now, "--summary", "-o", "json").json
    assert [(c["view"], c["only_b"], c["differing"]) for c in counts] == [
        ("customers", 0, 1), ("tickets", 0, 0), ("loyalty", 0, 1), ("orders", 1, 0),
        ("consents", 0, 0),
    ]  # fmt: skip
    page = busy("replay", "diff", january, now, "-n", "1", "-o", "table").out
    assert "differs" in page
    assert "only in B" not in page
    equal = busy("replay", "diff", now, now, "-o", "json")
    assert (equal.code, equal.json) == (0, [])


def test_what_is_not_there_or_no_replay_is_said(busy: Shell) -> None:
    now = replay(busy, "now.db").json["file"]
    assert busy("replay", "diff", now, str(busy.folder / "none.db")).code == 4
    other = busy.write("other.db", b"no database")
    ran = busy("replay", "diff", now, other)
    assert (ran.code, "is no replay" in ran.err) == (1, True)


def test_an_interrupted_replay_leaves_nothing_behind(
    busy: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> Iterator[Folded]:
        for folded in fold_ranges(*arguments):
            os.kill(os.getpid(), signal.SIGINT)
            yield folded

    monkeypatch.setattr(aside, "fold_ranges", interrupted)
    before = {path.name for path in busy.folder.iterdir()}
    ran = replay(busy, "a.db")
    assert (ran.code, ran.out) == (130, "")
    assert "interrupted; nothing was written" in ran.err
    assert {path.name for path in busy.folder.iterdir()} == before


def test_the_revenue_of_each_month_of_cdnow_is_what_the_file_adds_up_to(
    shell: Shell, cdnow: Path
) -> None:
    sample = cdnow / "CDNOW_sample.txt"
    mapping = EXAMPLES / "cdnow_sample.toml"
    arguments = (str(sample), "--mapping", str(mapping), "--no-follow")
    assert shell("import", *arguments).code == 0
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for line in sample.read_text().splitlines():
        _, _, day, _, amount = line.split()
        expected[f"{day[:4]}-{day[4:6]}"] += Decimal(amount)
    file = Path(replay(shell, "cdnow.db", "--only", "orders").json["file"])
    found: dict[str, Decimal] = defaultdict(Decimal)
    for month, total in asked(file, "SELECT substr(completed_at, 1, 7), total FROM orders"):
        found[month] += Decimal(total)
    assert found == expected
    assert sum(expected.values()) == Decimal("244091.94")


AT_REST = ("Resolve ticket", "Closed")
AWAKE = ("Take in charge ticket", "Wait", "Require upgrade", "Create SW anomaly")
ASIDE = ("Assign seriousness",)
FIRST = datetime(2012, 1, 1, tzinfo=UTC)


def helpdesk_rows(chance: Random, tickets: int) -> list[tuple[str, str, datetime]]:
    """(ticket, activity, time) of made-up tickets, some of which come back after their end."""
    rows = []
    for number in range(tickets):
        at = FIRST + timedelta(minutes=chance.randrange(60 * 24 * 40))
        for _ in range(chance.randrange(1, 9)):
            activity = chance.choice(AT_REST + AWAKE + ASIDE)
            rows.append((f"Case {number}", activity, at))
            at += timedelta(minutes=chance.choice((0, 5, 600, 4_000)))
    chance.shuffle(rows)
    return rows


def open_at_the_end_of(day: date, rows: list[tuple[str, str, datetime]]) -> int:
    """How many tickets were there and neither solved nor closed, counted from the rows alone."""
    standing: dict[str, bool] = {}
    for case, activity, at in sorted(rows, key=lambda row: row[2]):  # of equal times as they stand
        if at.date() <= day:
            was_open = standing.get(case, True)
            standing[case] = was_open if activity in ASIDE else activity not in AT_REST
    return sum(standing.values())


def test_the_open_tickets_of_any_day_are_those_that_the_help_desk_file_has(shell: Shell) -> None:
    rows = helpdesk_rows(Random(7), 60)
    file = shell.folder / "helpdesk.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HELPDESK_COLUMNS)
        for case, activity, at in rows:
            time_ = at.strftime("%Y/%m/%d %H:%M:%S.000")
            writer.writerow([case, activity, "Value 1", time_, "V", 1, "V", "Value 1", "Value 9",
                             *["Value 1"] * 7])  # fmt: skip
    mapping = EXAMPLES / "helpdesk.toml"
    assert shell("import", str(file), "--mapping", str(mapping), "--no-follow").code == 0
    for day in (5, 20, 45):
        until = (FIRST + timedelta(days=day)).date()
        ran = replay(shell, f"{day}.db", "--as-of", str(until), "--only", "tickets")
        query = "SELECT count(*) FROM tickets WHERE status NOT IN ('solved', 'closed')"
        assert asked(Path(ran.json["file"]), query) == [(open_at_the_end_of(until, rows),)]


HELPDESK_COLUMNS = (
    "Case ID", "Activity", "Resource", "Complete Timestamp", "Variant", "Variant index", "Variant",
    "seriousness", "customer", "product", "responsible_section", "seriousness_2", "service_level",
    "service_type", "support_section", "workgroup",
)  # fmt: skip
