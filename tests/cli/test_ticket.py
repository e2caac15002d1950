"""`touchstone ticket`: the board, how a ticket stands, and what happened with it."""

import json

import pytest

from tests.cli.facts import IN_CLEAR, record, ticket
from tests.cli.running import Shell


@pytest.fixture
def board(shell: Shell) -> Shell:
    """Three tickets of two customers: an old normal one, a new urgent one, and a solved one."""
    record(
        shell,
        ticket("opened", "T1", "2026-02-01T09:00:00Z", title="Broken lid", team="orders"),
        ticket("assigned", "T1", "2026-02-01T09:10:00Z", assignee="eva"),
        ticket("opened", "T2", "2026-02-02T09:00:00Z", "customer:43", priority="urgent"),
        ticket("opened", "T3", "2026-02-03T09:00:00Z", "email:bob@example.com"),
        ticket(
            "commented", "T3", "2026-02-03T09:30:00Z", "email:bob@example.com",
            author="agent", public=True, agent="eva", text="Done",
        ),
        ticket(
            "status_changed", "T3", "2026-02-03T10:00:00Z", "email:bob@example.com",
            status="solved",
        ),
    )  # fmt: skip
    return shell


def listed(shell: Shell, *filters: str) -> list[str]:
    ran = shell("ticket", "list", "-o", "json", *filters)
    assert ran.code == 0, ran.err
    return [entry["ticket"] for entry in ran.json]


def test_the_board_begins_with_the_most_urgent_and_then_the_oldest(board: Shell) -> None:
    assert listed(board) == ["T2", "T1", "T3"]
    assert listed(board, "-n", "2") == ["T2", "T1"]


def test_the_board_can_be_narrowed(board: Shell) -> None:
    assert listed(board, "--open") == ["T2", "T1"]
    assert listed(board, "--status", "solved") == ["T3"]
    assert listed(board, "--status", "new", "--status", "solved") == ["T2", "T1", "T3"]
    assert listed(board, "--priority", "normal") == ["T1", "T3"]
    assert listed(board, "--assignee", "eva") == ["T1"]
    assert listed(board, "--customer", "email:BOB@example.com") == ["T3"]
    assert board("ticket", "list", "--customer", "customer:99").code == 4
    assert board("ticket", "list", "--status", "nonsense").code == 2


def test_the_board_shows_titles_and_customers_in_clear(board: Shell) -> None:
    entries = {entry["ticket"]: entry for entry in board("ticket", "list", *IN_CLEAR).json}
    assert entries["T1"]["title"] == "Broken lid"
    assert entries["T3"]["customer"] == "email:bob@example.com"
    assert entries["T2"]["title"] is None


def test_show_says_how_a_ticket_stands_and_how_long_it_took(board: Shell) -> None:
    shown = board("ticket", "show", "T3", *IN_CLEAR).json
    assert shown["ticket"] == "T3"
    assert shown["customer"] == "email:bob@example.com"
    assert (shown["status"], shown["priority"], shown["reopens"]) == ("solved", "normal", 0)
    assert shown["opened_at"] == "2026-02-03T09:00:00Z"
    assert shown["first_response_at"] == "2026-02-03T09:30:00Z"
    assert shown["resolved_at"] == "2026-02-03T10:00:00Z"
    assert shown["closed_at"] is None
    assert (shown["first_response_seconds"], shown["resolution_seconds"]) == (1800, 3600)


def test_people_read_a_ticket_as_a_page(board: Shell) -> None:
    page = board("ticket", "show", "T1", "-o", "table", *IN_CLEAR).out
    assert page.startswith("ticket T1  Broken lid")
    assert "eva of team orders" in page


def test_a_ticket_as_it_was(board: Shell) -> None:
    shown = board("ticket", "show", "T3", "--as-of", "2026-02-03T09:45").json
    assert (shown["status"], shown["seconds"]["new"]) == ("new", 2700)
    assert board("ticket", "show", "T3", "--as-of", "2026-01-01").code == 4


def test_a_ticket_as_it_was_known(board: Shell) -> None:
    recorded_at = board("log", "tail", "-n", "1").json["recorded_at"]
    record(board, ticket("priority_changed", "T1", "2026-02-01T09:05:00Z", priority="low"))
    assert board("ticket", "show", "T1").json["priority"] == "low"
    known = board("ticket", "show", "T1", "--known-at", recorded_at).json
    assert known["priority"] == "normal"


def test_history_tells_what_everybody_did_with_the_ticket_alone(board: Shell) -> None:
    record(board, ticket("status_changed", "T3", "2026-02-03T09:05:00Z", "customer:43",
                         status="open"))  # fmt: skip
    told = board("ticket", "history", "T3", *IN_CLEAR).json
    assert [t["type"] for t in told] == [
        "ticket.opened.v1", "ticket.status_changed.v1", "ticket.commented.v1",
        "ticket.status_changed.v1",
    ]  # fmt: skip
    assert told[1]["subject"] == "customer:43"
    assert told[2]["summary"] == "was answered by eva on ticket T3: Done"
    earlier = board("ticket", "history", "T3", "--as-of", "2026-02-03T09:05:00Z").json
    assert len(earlier) == 2
    assert "Tuesday, 3 February 2026" in board("ticket", "history", "T3", "-o", "table").out


def test_tickets_that_do_not_exist_are_not_found(board: Shell) -> None:
    assert board("ticket", "show", "T9").code == 4
    assert board("ticket", "history", "T9").code == 4


def test_what_the_views_have_not_folded_yet_is_in_the_history_and_the_past(board: Shell) -> None:
    late = [
        ticket("priority_changed", "T1", "2026-02-01T09:20:00Z", "customer:43", priority="high"),
        ticket("opened", "T4", "2026-02-01T09:00:00Z", "customer:44"),
    ]
    lines = "\n".join(map(json.dumps, late)).encode()
    assert board("append", "-", "--no-follow", stdin=lines).code == 0
    assert len(board("ticket", "history", "T1").json) == 3
    assert board("ticket", "history", "T4").json["subject"] == "customer:44"
    shown = board("ticket", "show", "T1", "--as-of", "2026-02-02").json
    assert shown["priority"] == "high"
    assert board("ticket", "show", "T4", "--as-of", "2026-02-02").code == 0
    assert board("ticket", "show", "T4", "--as-of", "2026-01-31").code == 4
