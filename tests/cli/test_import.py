"""`touchstone import`: real files through the mappings of examples/, and bad ones of any kind."""

from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.examples.conftest import cdnow

__all__ = ["cdnow"]
EXAMPLES = Path(__file__).parents[2] / "examples"
MAPPING = """
source = "till"
[rows]
format = "csv"
[[touchpoint]]
type = "order.completed.v1"
id = "till-{row}"
subject = "customer:{customer}"
time = { column = "day", format = "%Y-%m-%d", zone = "UTC" }
[touchpoint.data]
order_id = "till-{row}"
total = { amount = "{amount}", currency = "EUR" }
"""


def _sum_of_orders(shell: Shell) -> tuple[int, float]:
    listed = shell("customer", "list", "-o", "json").json
    dollars = sum(float(net["amount"]) for c in listed for net in c["net"])
    return len(listed), round(dollars, 2)


def test_the_cdnow_sample_gives_its_published_numbers_and_a_second_import_nothing(
    shell: Shell, cdnow: Path
) -> None:
    arguments = (str(cdnow / "CDNOW_sample.txt"), "--mapping", str(EXAMPLES / "cdnow_sample.toml"))
    first = shell("import", *arguments, "-o", "json")
    assert (first.code, first.json["recorded"]) == (0, 6_919)
    assert _sum_of_orders(shell) == (2_357, 244_091.94)
    second = shell("import", *arguments, "-o", "json")
    assert (second.json["recorded"], second.json["duplicate"]) == (0, 6_919)
    assert shell("projection", "verify", "--all").code == 0


def test_the_whole_of_cdnow_keeps_its_repeated_rows(file_shell: Shell, cdnow: Path) -> None:
    shell = file_shell  # on one store: it is long
    file, mapping = cdnow / "CDNOW_master.txt", EXAMPLES / "cdnow_master.toml"
    ran = shell("import", str(file), "--mapping", str(mapping), "-o", "json")
    assert ran.json["recorded"] == 69_659
    assert _sum_of_orders(shell) == (23_570, 2_500_315.63)


def test_rows_that_cannot_be_used_wait_in_quarantine_for_a_mended_mapping(shell: Shell) -> None:
    mapping = shell.write("till.toml", MAPPING.encode())
    rows = b"customer,day,amount\n1,2026-01-05,10.00\n2,5/1/2026,20.00\n3,2026-01-07,30.00\n"
    ran = shell("import", shell.write("till.csv", rows), "--mapping", mapping)
    assert ran.code == 3
    assert (ran.json["recorded"], ran.json["quarantined"]) == (2, 1)
    assert "line 3" in ran.err
    assert "time" in ran.err
    mended = MAPPING.replace('"%Y-%m-%d"', '"%d/%m/%Y"')
    waiting = shell("quarantine", "retry", "--all")
    assert waiting.code == 3
    ran = shell("quarantine", "retry", "1", "--mapping", shell.write("2.toml", mended.encode()))
    assert (ran.code, ran.json["recorded"]) == (0, 1)
    assert shell("quarantine", "list", "-o", "json").json == []


def test_a_missing_column_is_found_before_anything_is_recorded(shell: Shell) -> None:
    mapping = shell.write("till.toml", MAPPING.encode())
    file = shell.write("till.csv", b"customer,date,amount\n1,2026-01-05,10.00\n")
    ran = shell("import", file, "--mapping", mapping)
    assert ran.code == 2
    assert '"day"' in ran.err


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ('when = "amount >"', "when"),
        ('typ = "x"', "typ"),
        ("when = 7", "when"),
    ],
)
def test_a_wrong_mapping_is_a_usage_error_that_names_its_place(
    shell: Shell, wrong: str, expected: str
) -> None:
    text = MAPPING.replace("[[touchpoint]]", f"[[touchpoint]]\n{wrong}")
    file = shell.write("till.csv", b"customer,day,amount\n")
    ran = shell("import", file, "--mapping", shell.write("wrong.toml", text.encode()))
    assert ran.code == 2
    assert expected in ran.err
    assert "wrong.toml" in ran.err


def test_an_empty_file_and_one_with_a_header_only_record_nothing(shell: Shell) -> None:
    mapping = shell.write("till.toml", MAPPING.encode())
    for content in (b"", b"customer,day,amount\n"):
        ran = shell("import", shell.write("till.csv", content), "--mapping", mapping)
        assert (ran.code, ran.json["received"]) == (2, 0)
        assert "there are no touchpoints" in ran.err


def test_files_that_are_not_there_are_usage_errors(shell: Shell) -> None:
    mapping = shell.write("till.toml", MAPPING.encode())
    assert shell("import", "absent.csv", "--mapping", mapping).code == 2
    assert shell("import", mapping, "--mapping", "absent.toml").code == 2
