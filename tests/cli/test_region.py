"""`--region`: numbers without a country code are read as their source means them."""

from pathlib import Path

from tests.cli.running import Shell, order_line

NUMBER, SAME = "phone:333 1234567", "phone:+39 333 1234567"


def subjects(shell: Shell) -> set[str]:
    """Whom the touchpoints of the log are about, as the log has it."""
    return {record["subject"] for record in shell("log", "list", "-o", "json").json}


def test_numbers_of_a_region_are_those_with_its_country_code(shell: Shell) -> None:
    ran = shell("append", "--region", "it", "--no-follow", stdin=order_line(1, NUMBER))
    assert ran.json["recorded"] == 1
    assert shell("append", "--no-follow", stdin=order_line(2, SAME)).json["recorded"] == 1
    assert len(subjects(shell)) == 1


def test_without_a_region_such_a_number_is_refused(shell: Shell) -> None:
    ran = shell("append", "--no-follow", stdin=order_line(1, NUMBER))
    assert (ran.code, ran.json["quarantined"]) == (3, 1)


def test_a_retry_keeps_the_region_of_its_door(shell: Shell) -> None:
    wrong = order_line(1, NUMBER, time="2999-01-05T10:00:00Z")
    assert shell("append", "--region", "IT", "--no-follow", stdin=wrong).code == 3
    (entry,) = shell("quarantine", "list", "-o", "json").json
    assert entry["context"]["region"] == "IT"
    assert entry["reason"] == "time_ahead"
    shell("quarantine", "retry", str(entry["entry"]), "--no-follow")
    (again,) = shell("quarantine", "list", "-o", "json").json
    assert again["reason"] == "time_ahead"  # it is not the number that is wrong


def test_a_row_that_is_retried_keeps_it_too(shell: Shell, tmp_path: Path) -> None:
    mapping = """
source = "pbx"
[time]
column = "day"
format = "%d/%m/%Y"
zone = "Europe/Rome"
[[touchpoint]]
type = "call.ended.v1"
id = "{call}"
subject = "phone:{number}"
[touchpoint.data]
duration_seconds = 5
call_id = "{call}"
direction = "inbound"
outcome = { column = "result", map = { "OK" = "answered" } }
"""
    rows = b"call,number,day,result\nC-1,333 1234567,05/01/2026,OK\nC-2,333 1234567,05/01/2026,?\n"
    first = shell.write("first.toml", mapping.encode())
    ran = shell("import", "--region", "IT", "--no-follow", "--mapping", first,
                shell.write("calls.csv", rows))  # fmt: skip
    assert (ran.json["recorded"], ran.json["quarantined"]) == (1, 1)
    mended = shell.write("mended.toml", mapping.replace('"OK"', '"?"').encode())
    assert shell("quarantine", "retry", "1", "--mapping", mended, "--no-follow").code == 0
    assert len(subjects(shell)) == 1
    assert len(shell("log", "list", "-o", "json").json) == 2


def test_a_region_that_is_none_is_refused(shell: Shell) -> None:
    ran = shell("append", "--region", "Italy")
    assert ran.code == 2
    assert "two letters" in ran.err
