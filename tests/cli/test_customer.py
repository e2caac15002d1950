"""`touchstone customer`: the list, the 360° view and the timeline, now and at other times."""

import pytest

from tests.cli.facts import IN_CLEAR, described, event, order, programme, record, refund, ticket
from tests.cli.running import Shell
from tests.places import plain_connection

ANA = "email:ana@example.com"
CHAT = "chat.started.v1"


@pytest.fixture
def busy(shell: Shell) -> Shell:
    """Customer 42 has bought twice, has asked something, and has said who she is."""
    record(
        shell,
        programme(),
        described(name="Ana Rossi", email="ana@example.com", company="Rossi"),
        order("A1", "100.00", "2026-01-05T10:00:00Z"),
        order("A2", "50.50", "2026-02-05T10:00:00+02:00"),
        refund("A1", "10.00", "2026-02-06T10:00:00Z"),
        ticket("opened", "T1", "2026-02-07T10:00:00Z", title="Broken lid"),
        event(CHAT, {"conversation_id": "C1"}, "2026-02-08T10:00:00Z"),
    )
    return shell


def test_show_gives_the_whole_view_as_json(busy: Shell) -> None:
    shown = busy("customer", "show", "customer:42", "-o", "json").json
    assert shown["customer"] == "customer:42"
    assert shown["subjects"] == ["customer:42"]
    assert shown["first_seen"] == "2026-01-01T09:00:00Z"
    assert shown["last_seen"] == "2026-02-08T10:00:00Z"
    assert shown["touchpoints"] == 6
    assert shown["channels"] == {"chat": 1, "profile": 1, "purchase": 3, "ticket": 1}
    assert shown["orders"]["count"] == 2
    assert shown["orders"]["net"] == [{"amount": "140.50", "currency": "EUR"}]
    assert shown["tickets"] == {"open": 1, "total": 1}
    assert shown["last_interaction"]["type"] == CHAT
    main = shown["loyalty"]["main"]
    assert (main["earned"], main["active"], main["negative"]) == (14, 14, 0)


def test_traits_are_shown_in_clear_with_the_touchpoint_that_stated_them(busy: Shell) -> None:
    traits = busy("customer", "show", "customer:42", *IN_CLEAR).json["traits"]
    assert {name: said["value"] for name, said in traits.items()} == {
        "name": "Ana Rossi",
        "email": "ana@example.com",
        "company": "Rossi",
    }
    assert traits["name"]["source"] == "crm"
    assert traits["name"]["time"] == "2026-01-01T09:00:00Z"


def test_people_read_the_view_as_a_page(busy: Shell) -> None:
    asked = ("-o", "table", "--tz", "Europe/Rome", *IN_CLEAR)
    page = busy("customer", "show", "customer:42", *asked).out
    assert page.startswith("customer:42  Ana Rossi")
    assert "2 completed; net 140.50 EUR" in page
    assert "2026-02-08 11:00" in page
    assert "1 open of 1" in page


def test_as_of_leaves_out_what_occurred_later(busy: Shell) -> None:
    shown = busy("customer", "show", "customer:42", "--as-of", "2026-01-05").json
    assert shown["touchpoints"] == 2
    assert shown["orders"]["net"] == [{"amount": "100.00", "currency": "EUR"}]
    assert shown["loyalty"]["main"]["active"] == 10
    assert shown["tickets"] == {"open": 0, "total": 0}


def test_known_at_leaves_out_what_was_recorded_later(busy: Shell) -> None:
    recorded_at = busy("log", "tail", "-n", "1").json["recorded_at"]
    record(busy, order("A0", "7.00", "2026-01-02T10:00:00Z"))
    assert busy("customer", "show", "customer:42").json["orders"]["count"] == 3
    earlier = busy("customer", "show", "customer:42", "--known-at", recorded_at).json
    assert earlier["orders"]["count"] == 2
    told = busy("customer", "timeline", "customer:42", "--known-at", recorded_at).json
    assert len(told) == 6


def test_before_anything_was_known_there_is_nothing_to_show(busy: Shell) -> None:
    ran = busy("customer", "show", "customer:42", "--as-of", "2020-01-01")
    assert (ran.code, ran.out) == (4, "")
    assert "nothing was known" in ran.err


def test_whom_nobody_knows_is_not_found(busy: Shell) -> None:
    for subject in ("customer:43", "email:nobody@example.com"):
        assert busy("customer", "show", subject).code == 4
        assert busy("customer", "timeline", subject).code == 4


def test_what_is_no_subject_is_a_mistake_of_usage(busy: Shell) -> None:
    assert busy("customer", "show", "42").code == 2
    assert "email:ana@example.com" in busy("customer", "show", "ana@example.com").err
    assert busy("customer", "show", "email:nonsense").code == 2


def test_an_address_that_one_customer_has_means_that_customer(busy: Shell) -> None:
    ran = busy("customer", "show", ANA.upper().replace("EMAIL", "email"))
    assert (ran.code, ran.json["customer"]) == (0, "customer:42")
    assert "customer:42" in ran.err


def test_an_address_that_several_have_is_refused_by_their_names(busy: Shell) -> None:
    record(busy, described(email="ana@example.com", subject="customer:43"))
    ran = busy("customer", "show", ANA)
    assert ran.code == 4
    assert "customer:42, customer:43" in ran.err


def test_a_personal_subject_is_shown_in_clear_and_never_in_the_file(busy: Shell) -> None:
    record(busy, event(CHAT, {"conversation_id": "C2"}, subject="email:Bob@example.com"))
    shown = busy("customer", "show", "email:bob@example.com", *IN_CLEAR).json
    assert (shown["customer"], shown["touchpoints"]) == ("email:Bob@example.com", 1)
    listed = busy("customer", "list", "-o", "json", *IN_CLEAR).json
    assert [entry["customer"] for entry in listed] == ["customer:42", "email:Bob@example.com"]
    told = busy("customer", "timeline", "email:bob@example.com", *IN_CLEAR).json
    assert told["subject"] == "email:Bob@example.com"
    stored = b"".join(path.read_bytes() for path in busy.folder.glob("touchstone.db*"))
    assert b"bob@example.com" not in stored.lower()


def test_a_refund_on_anothers_order_is_an_anomaly_of_both(busy: Shell) -> None:
    record(busy, refund("A2", "5.00", "2026-02-09T10:00:00Z", subject="customer:43"))
    for subject in ("customer:42", "customer:43"):
        shown = busy("customer", "show", subject).json
        assert (shown["anomalies"], shown["anomalous_orders"]) == (1, ["A2"])
    before = busy("customer", "show", "customer:42", "--as-of", "2026-02-08").json
    assert (before["anomalies"], before["anomalous_orders"]) == (0, [])


def test_a_refund_of_an_order_that_nobody_completed_is_no_anomaly(busy: Shell) -> None:
    record(busy, refund("A9", "5.00", "2026-02-09T10:00:00Z"))
    shown = busy("customer", "show", "customer:42").json
    assert (shown["anomalies"], shown["orders"]["unplaced"]) == (0, 1)


def test_list_says_how_much_there_is_of_each(busy: Shell) -> None:
    entry = busy("customer", "list", *IN_CLEAR).json
    assert (entry["name"], entry["orders"], entry["tickets_open"]) == ("Ana Rossi", 2, 1)
    assert entry["net"] == [{"amount": "140.50", "currency": "EUR"}]


def test_list_finds_by_address_and_by_number(busy: Shell) -> None:
    record(busy, described(phone="+39 333 1234567", subject="customer:43"))
    assert busy("customer", "list", "--find", "ANA@example.com").json["customer"] == "customer:42"
    assert busy("customer", "list", "--find", "+393331234567").json["customer"] == "customer:43"
    assert busy("customer", "list", "--find", "no@example.com").out == ""
    assert busy("customer", "list", "--find", "nonsense@").code == 2


def test_list_stops_where_it_is_told(busy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.query.PAGE_ROWS", 10)
    record(busy, *(order(f"B{n}", "1", "2026-01-05T10:00:00Z", subject=f"customer:{n}")
                   for n in range(100, 130)))  # fmt: skip
    assert len(busy("customer", "list", "-n", "7", "-o", "json").json) == 7
    assert len(busy("customer", "list", "-o", "json").json) == 31


def test_an_empty_list_says_what_to_do(shell: Shell) -> None:
    ran = shell("customer", "list", "-o", "table")
    assert (ran.code, "touchstone append" in ran.out) == (0, True)
    assert shell("customer", "list", "-o", "json").json == []


def test_the_timeline_follows_what_occurred_and_not_what_arrived(busy: Shell) -> None:
    record(busy, order("A0", "7.00", "2026-01-02T10:00:00Z"))
    told = busy("customer", "timeline", "customer:42", "-o", "json", *IN_CLEAR).json
    times = [t["time"] for t in told]
    assert times[1] == "2026-01-02T10:00:00Z"
    assert times[3] == "2026-02-05T10:00:00+02:00"
    assert told[1]["summary"] == "bought for 7.00 EUR (order A0)"
    assert told[1]["position"] > told[2]["position"]
    assert "Broken lid" in told[5]["summary"]


def test_a_timeline_can_be_narrowed(busy: Shell) -> None:
    def summaries(*filters: str) -> int:
        ran = busy("customer", "timeline", "customer:42", "-o", "json", *filters)
        assert ran.code == 0
        return len(ran.json)

    assert summaries("--channel", "purchase") == 3
    assert summaries("--channel", "purchase", "--channel", "chat") == 4
    assert summaries("--type", "order.refunded.v1") == 1
    assert summaries("--since", "2026-02-06", "--until", "2026-02-07") == 2
    assert summaries("-n", "2") == 2
    assert summaries("--type", "order.cancelled.v1") == 0


def test_the_newest_of_a_timeline_are_its_last(busy: Shell) -> None:
    assert busy("customer", "timeline", "customer:42", "-n", "1").json["type"] == CHAT


def test_what_was_voided_is_marked_and_counts_no_more(busy: Shell) -> None:
    wrong = order("A3", "500.00", "2026-02-10T10:00:00Z")
    why = {"voided_source": "shop", "voided_id": wrong["id"], "reason": "a test"}
    record(busy, wrong)
    before = busy("log", "tail", "-n", "1").json["recorded_at"]
    record(busy, event("touchpoint.voided.v1", why, "2026-02-11T10:00:00Z"))
    told = busy("customer", "timeline", "customer:42", "-o", "json").json
    assert [t["id"] for t in told if t["voided"]] == [wrong["id"]]
    assert "(voided)" in busy("customer", "timeline", "customer:42", "-o", "table").out
    assert busy("customer", "show", "customer:42").json["orders"]["count"] == 2
    lines = busy("loyalty", "statement", "customer:42", "-o", "json").json
    assert lines[-1]["balance"] == 14
    as_of, known_at = ("--as-of", "2026-02-10"), ("--known-at", before)
    told = busy("customer", "timeline", "customer:42", "-o", "json", *as_of).json
    assert [t["id"] for t in told if t["voided"]] == [wrong["id"]]
    assert busy("customer", "show", "customer:42", *as_of).json["orders"]["count"] == 2
    told = busy("customer", "timeline", "customer:42", "-o", "json", *known_at).json
    assert [t["id"] for t in told if t["voided"]] == []
    assert busy("customer", "show", "customer:42", *known_at).json["orders"]["count"] == 3
    lines = busy("loyalty", "statement", "customer:42", "-o", "json", *known_at).json
    assert lines[-1]["balance"] == 64


def test_a_timeline_reads_by_days_on_the_clocks_of_the_zone(busy: Shell) -> None:
    page = busy(
        "customer", "timeline", "customer:42", "-o", "table", "--tz", "Asia/Tokyo", "-n", "1"
    ).out
    assert "Sunday, 8 February 2026" in page
    assert "19:00  chat  started a chat" in page


def test_views_that_are_behind_are_remarked_upon(busy: Shell) -> None:
    line = b'{"specversion":"1.0","id":"late","source":"shop","type":"chat.started.v1",'
    line += b'"subject":"customer:42","time":"2026-03-01T10:00:00Z","data":{"conversation_id":"9"}}'
    busy("append", "--no-follow", stdin=line)
    ran = busy("customer", "show", "customer:42")
    assert (ran.code, ran.json["touchpoints"]) == (0, 6)
    assert "projection run" in ran.err
    assert busy("customer", "show", "customer:42", "-q").err == ""


def test_an_erased_person_is_shown_without_what_was_personal(busy: Shell) -> None:
    with plain_connection(busy.address, keys=True) as keys:
        keys.execute("DELETE FROM subject_keys WHERE subject = 'customer:42'")
    shown = busy("customer", "show", "customer:42", *IN_CLEAR).json
    assert shown["traits"]["name"]["value"] == "[erased]"
    assert shown["traits"]["company"]["value"] == "Rossi"
    assert shown["orders"]["count"] == 2
    assert "[erased]" in busy("customer", "show", "customer:42", "-o", "table", *IN_CLEAR).out


def test_a_customer_has_the_tickets_that_the_board_says_are_his(shell: Shell) -> None:
    record(
        shell,
        ticket("opened", "T1", "2026-02-01T09:00:00Z"),
        ticket("merged", "T1", "2026-02-01T10:00:00Z", into_ticket_id="T9"),
        ticket("status_changed", "T1", "2026-02-01T11:00:00Z", status="open"),
        ticket("opened", "T2", "2026-02-02T09:00:00Z"),
        ticket("status_changed", "T2", "2026-02-02T10:00:00Z", "customer:43", status="closed"),
    )
    board = shell("ticket", "list", "--customer", "customer:42", "-o", "json").json
    assert [(entry["ticket"], entry["status"]) for entry in board] == [
        ("T1", "open"), ("T2", "closed"),
    ]  # fmt: skip
    counted = {"customer:42": (1, 2), "customer:43": (0, 0)}
    for entry in shell("customer", "list", "-o", "json").json:
        assert (entry["tickets_open"], entry["tickets"]) == counted[entry["customer"]]
    for subject, (still_open, total) in counted.items():
        shown = shell("customer", "show", subject).json["tickets"]
        assert shown == {"open": still_open, "total": total}
    then = shell("customer", "show", "customer:42", "--as-of", "2026-02-01T10:30").json
    assert then["tickets"] == {"open": 0, "total": 1}
