"""`touchstone consent`: what held when, whether to send, and what was sent without consent."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.facts import IN_CLEAR, described, event, record
from tests.cli.running import Ran, Shell


def said(what: str, channel: str, at: str, subject: str = "customer:42", **data: Any) -> Any:
    """A statement on marketing, such as `granted`; its source is the CRM."""
    data = {"channel": channel, "purpose": "marketing", **data}
    return event(f"consent.{what}.v1", data, at, subject, source="crm", id=f"{what} {at[:10]}")


def sms(at: str, subject: str = "customer:42", purpose: str = "marketing") -> Any:
    data = {
        "message_id": "M1", "phone": "+39333123456", "text": "Tea!", "purpose": purpose,
        "campaign": "spring",
    }  # fmt: skip
    return event("sms.sent.v1", data, at, subject, source="mailer", id=f"{subject} {at[:10]}")


def check(shell: Shell, *options: str, subject: str = "customer:42", channel: str = "sms") -> Ran:
    return shell(
        "consent", "check", subject, "--channel", channel, "--purpose", "marketing", *options
    )


@pytest.fixture
def told(shell: Shell) -> Shell:
    """Customer 42 allows text messages in January and refuses everything in March."""
    record(
        shell,
        described(phone="+39055123456"),
        said("granted", "sms", "2026-01-10T10:00:00Z", legal_basis="consent", evidence="a form"),
        sms("2026-02-01T09:00:00Z"),
        sms("2026-04-01T09:00:00Z"),
        sms("2026-04-02T09:00:00Z", purpose="service"),
        said("withdrawn", "any", "2026-03-10T10:00:00Z"),
    )
    return shell


def test_show_has_one_object_for_each_interval(told: Shell) -> None:
    found = told("consent", "show", "customer:42", "-o", "json").json
    assert [(i["channel"], i["state"], i["from"], i["until"]) for i in found] == [
        ("any", "withdrawn", "2026-03-10T10:00:00Z", None),
        ("sms", "granted", "2026-01-10T10:00:00Z", "2026-03-10T10:00:00Z"),
        ("sms", "withdrawn", "2026-03-10T10:00:00Z", None),
    ]
    assert found[1] == {
        "channel": "sms", "purpose": "marketing", "state": "granted",
        "from": "2026-01-10T10:00:00Z", "until": "2026-03-10T10:00:00Z", "named": "sms",
        "legal_basis": "consent", "type": "consent.granted.v1", "source": "crm",
        "id": "granted 2026-01-10",
    }  # fmt: skip
    assert (found[2]["named"], found[2]["id"]) == ("any", "withdrawn 2026-03-10")


def test_show_as_of_a_day_knows_nothing_of_later_ones(told: Shell) -> None:
    found = told("consent", "show", "customer:42", "--as-of", "2026-02-01").json
    assert (found["state"], found["until"]) == ("granted", None)
    assert told("consent", "show", "customer:42", "--as-of", "2026-01-09").out == ""


def test_show_of_somebody_who_said_nothing_or_whom_nobody_knows(told: Shell) -> None:
    record(told, described(subject="customer:7"))
    assert told("consent", "show", "customer:7", "-o", "json").json == []
    ran = told("consent", "show", "customer:8")
    assert (ran.code, ran.out) == (4, "")
    assert "nobody is known as customer:8" in ran.err


def test_check_answers_by_its_exit_code_and_says_why(told: Shell) -> None:
    ran = check(told, "--as-of", "2026-02-01")
    assert (ran.code, ran.json) == (0, {
        "subject": "customer:42", "channel": "sms", "purpose": "marketing", "state": "granted",
        "since": "2026-01-10T10:00:00Z", "named": "sms", "legal_basis": "consent",
        "type": "consent.granted.v1", "source": "crm", "id": "granted 2026-01-10",
    })  # fmt: skip
    ran = check(told)
    assert (ran.code, ran.json["state"], ran.json["named"]) == (9, "withdrawn", "any")
    assert check(told, "--as-of", "2026-01-09").code == 9
    page = check(told, "-o", "table").out
    assert "marketing by sms withdrawn since 2026-03-10 10:00" in page


def test_check_at_the_instant_of_a_statement_knows_it(told: Shell) -> None:
    assert check(told, "--as-of", "2026-01-10T10:00:00Z").code == 0
    assert check(told, "--as-of", "2026-01-10T09:59:59Z").code == 9
    assert check(told, "--as-of", "2026-03-10T10:00:00Z").code == 9


def test_check_by_a_number_means_the_customer_who_was_seen_with_it(told: Shell) -> None:
    ran = check(told, "--as-of", "2026-02-01", subject="phone:+39 055 123456")
    assert ran.code == 0
    assert "was seen with customer:42" in ran.err


def test_of_whom_nothing_is_known_nothing_is_granted(told: Shell) -> None:
    for subject in ("customer:8", "email:who@example.com"):
        ran = check(told, subject=subject)
        assert (ran.code, ran.json["state"], ran.json["since"]) == (9, "never granted", None)
        assert f"nobody is known as {subject}" in ran.err


def test_a_number_of_several_customers_is_nobodys_consent(told: Shell) -> None:
    record(
        told,
        described(phone="+39055123456", subject="customer:7"),
        said("granted", "sms", "2026-04-10T10:00:00Z", "customer:7"),
    )
    ran = check(told, subject="phone:+39055123456")
    assert (ran.code, ran.json["state"]) == (9, "never granted")
    assert "several customers" in ran.err


def test_what_is_no_channel_to_be_reached_on_and_no_subject_is_wrong_usage(told: Shell) -> None:
    assert check(told, channel="any").code == 2
    assert check(told, subject="42").code == 2


def test_check_is_never_behind_the_log(told: Shell) -> None:
    statement = said("granted", "email", "2026-04-10T10:00:00Z")
    line = json.dumps(statement).encode()
    assert told("append", "-", "--no-follow", stdin=line).code == 0
    assert check(told, channel="email").code == 0
    ran = told("consent", "show", "customer:42")
    assert "the view consents is 1 touchpoints behind the log" in ran.err


def test_check_knows_nothing_of_what_is_dated_ahead(told: Shell) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    later = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
    record(told, said("granted", "sms", soon))
    assert check(told).code == 9
    assert check(told, "--as-of", later).code == 0


def test_check_as_known_at_a_moment(told: Shell) -> None:
    assert check(told, "--as-of", "2026-02-01", "--known-at", "2020-01-01").code == 9
    assert check(told, "--as-of", "2026-02-01", "--known-at", "2999-01-01").code == 0


def test_each_message_without_consent_is_one_violation(told: Shell) -> None:
    found = told("consent", "violations", "-o", "json").json
    assert found == [{
        "customer": "customer:42", "time": "2026-04-01T09:00:00Z", "channel": "sms",
        "purpose": "marketing", "campaign": "spring", "why": "withdrawn",
        "withdrawal": {
            "time": "2026-03-10T10:00:00Z", "named": "any", "legal_basis": None,
            "type": "consent.withdrawn.v1", "source": "crm", "id": "withdrawn 2026-03-10",
        },
        "source": "mailer", "id": "customer:42 2026-04-01",
    }]  # fmt: skip


def test_a_withdrawal_that_comes_late_adds_violations_live_and_rebuilt_alike(told: Shell) -> None:
    record(told, said("withdrawn", "sms", "2026-01-20T10:00:00Z"))
    found = told("consent", "violations").json
    assert [(v["time"], v["withdrawal"]["id"]) for v in found] == [
        ("2026-02-01T09:00:00Z", "withdrawn 2026-01-20"),
        ("2026-04-01T09:00:00Z", "withdrawn 2026-03-10"),
    ]
    assert told("projection", "rebuild", "consents").code == 0
    assert told("consent", "violations").json == found


def test_violations_come_by_time_and_can_be_narrowed(told: Shell) -> None:
    email = event(
        "email.sent.v1", {"message_id": "M2", "purpose": "marketing"}, "2026-02-15T09:00:00Z",
        "email:bo@example.com", source="mailer", id="letter",
    )  # fmt: skip
    record(told, email, sms("2026-05-01T09:00:00Z", "customer:7"))

    def listed(*options: str) -> list[tuple[str, str]]:
        found = told("consent", "violations", *options, "-o", "json", *IN_CLEAR).json
        return [(v["time"][:10], v["customer"]) for v in found]

    first = ("2026-02-15", "email:bo@example.com")
    second, third = ("2026-04-01", "customer:42"), ("2026-05-01", "customer:7")
    assert listed() == [first, second, third]
    assert listed("-n", "2") == [first, second]
    assert listed("--since", "2026-04-01") == [second, third]
    assert listed("--until", "2026-04-01") == [first, second]
    assert listed("--channel", "email") == [first]
    assert listed("--channel", "sms", "--channel", "email", "--since", "2026-06-01") == []
    assert "bo@example.com" not in told("consent", "violations").out


def test_tables_are_read_on_80_columns(told: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (("show", "customer:42"), ("violations",)):
        out = told("consent", *arguments, "-o", "table").out
        assert max(map(len, out.splitlines())) <= 80
        assert all(f" {word} " in out for word in ("withdrawn", "2026-03-10", "sms"))
        assert "+39" not in out


def test_a_table_of_nothing_says_so(shell: Shell) -> None:
    page = shell("consent", "violations", "-o", "table").out
    assert "no marketing was sent without consent" in page
    record(shell, described())
    page = shell("consent", "show", "customer:42", "-o", "table").out
    assert "nothing is granted" in page


def test_lists_as_csv_have_the_same_columns_whatever_is_in_them(told: Shell) -> None:
    heading = told("consent", "show", "customer:42", "-o", "csv").out.splitlines()[0]
    assert heading == "channel,purpose,state,from,until,named,legal_basis,type,source,id"
    heading = told("consent", "violations", "-o", "csv", "--since", "2026-06-01").out.strip()
    assert heading == "time,customer,channel,purpose,campaign,why,withdrawal,source,id"


def test_who_was_erased_has_allowed_nothing_also_when_he_comes_back(shell: Shell) -> None:
    address = "email:ana@example.com"
    record(shell, said("granted", "email", "2026-01-10T10:00:00Z", address))
    assert check(shell, subject=address, channel="email").code == 0
    contacts = shell("customer", "show", address, "-o", "json").json["touchpoints"]
    why = ("--confirm", address, "--reason", "request 7")
    assert shell("customer", "erase", address, *why).code == 0
    record(shell, event("page.viewed.v1", {"url": "https://example.com/"}, subject=address))
    ran = check(shell, subject=address, channel="email")
    assert (ran.code, ran.json["state"], ran.json["type"]) == (9, "withdrawn", "person.erased.v1")
    assert ran.json["source"] == "touchstone"
    shown = shell("customer", "show", address, "-o", "json").json
    assert {consent["state"] for consent in shown["consents"]} == {"withdrawn"}
    assert shown["touchpoints"] == contacts + 1
    found = shell("consent", "show", address, "-o", "json").json
    assert [(i["channel"], i["state"]) for i in found] == [
        ("any", "withdrawn"), ("email", "granted"), ("email", "withdrawn"),
    ]  # fmt: skip
    assert found[1]["until"] == found[2]["from"] == ran.json["since"]
    assert shell("projection", "verify", "--all").code == 0
