"""The pages about importing: what they show as a mapping is one, and does what they say."""

import io
import json
import re
import tomllib
from pathlib import Path

from ledger.mapping import Mapping, mapping_in
from ledger.mapping_file import Section

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "IMPORTING.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def loaded(toml: str) -> Mapping:
    return mapping_in(Section(tomllib.loads(toml), "IMPORTING.md"))


def test_every_mapping_on_the_page_loads() -> None:
    assert [loaded(toml).source for toml in blocks("toml")] == ["shop", "till"]


def test_the_first_mapping_gives_what_the_page_says() -> None:
    mapping = loaded(blocks("toml")[0])
    (row,) = mapping.read(io.BytesIO(blocks("csv")[0].encode()))
    assert row.values is not None
    assert mapping.touchpoints(row.values, row.number) == [json.loads(blocks("json")[0])]


def test_each_example_is_named_on_its_page() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for mapping in sorted((ROOT / "examples").glob("*.toml")):
        assert f"--mapping examples/{mapping.name}" in page
