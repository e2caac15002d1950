"""docs/INTEGRATIONS.md: its programs send what they say, and it knows each connector as it is."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.webhook_secrets import secret_of
from ledger.ledger import open_ledger
from ledger.mapping_file import MappingInvalid
from tests.cli.facts import IN_CLEAR
from tests.cli.running import Shell
from tests.house.worked_pages import Block, blocks, sections
from tests.places import SQLitePlaces, a_place
from tests.servers.npm import node_packages
from tests.web.clients.libraries import NODE_PACKAGES, recorded
from tests.web.serving import Running, serving
from tests.web.webhooks.signing import PUBLIC_URL, text_secret, vendor_of
from web.settings import Settings
from web.webhooks.config import load_webhooks
from web.webhooks.connector import Connector, load_connector, shipped, shipped_path
from web.webhooks.receiving import Webhook

PAGE = (Path(__file__).parents[2] / "docs" / "INTEGRATIONS.md").read_text("utf-8")
PARTS = sections(PAGE)
JITSU = "@jitsu/js@1.11.0"
RUN_BY = {"python": (sys.executable, ".py"), "js": ("node", ".mjs"), "sh": ("sh", ".sh")}
SECONDS_MAX = 120
SOURCE = re.compile(r"\bshop\b")
"""The source that the programs name; each gets a token for one of its own."""
LOOKS_FIRST = "looks whether"
"""What the page says of a vendor who asks for the address before it is saved."""

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "order-A-1001",
    "source": "shop",
    "type": "order.completed.v1",
    "subject": "customer:42",
    "time": "2026-01-05T10:00:00+01:00",
    "data": {"order_id": "A-1001", "total": {"amount": "12.50", "currency": "EUR"}},
}
FACT = ("order.completed.v1", "customer:42", "A-1001", Decimal("12.5"), "EUR")


def under_headings(text: str) -> dict[str, str]:
    """The parts of a section under its `### ` headings."""
    parts = re.split(r"^### (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


CLIENTS = under_headings(PARTS["Clients"])
NOT_RUN = {"@segment/analytics-next, in browsers", "Other libraries for Segment"}
PROGRAMS = [
    (re.sub(r"\W+", "-", f"{title}-{number}").strip("-"), block)
    for title, text in CLIENTS.items()
    for number, block in enumerate(blocks(text), 1)
    if block.form in RUN_BY
]
VENDORS = under_headings(PARTS["Webhooks"])
CONNECTORS: dict[str, Connector] = {
    connector.title: connector
    for path in map(shipped_path, shipped())
    if path is not None
    for connector in [load_connector(path)]
}
EVERY_VENDOR = pytest.mark.parametrize("title", VENDORS)


@pytest.fixture
def running(sqlite_places: SQLitePlaces, tmp_path: Path) -> Iterator[tuple[Running, Shell]]:
    """A server with all webhooks of the page, and a shell for its ledger."""
    settings = Settings(
        public_url=PUBLIC_URL, webhooks=loaded("\n".join(VENDORS.values()), tmp_path)
    )
    with (
        a_place(sqlite_places) as address,
        open_ledger(address) as ledger,
        serving(ledger, settings) as server,
    ):
        yield server, Shell(tmp_path, address)


def loaded(text: str, folder: Path, public_url: str | None = PUBLIC_URL) -> tuple[Webhook, ...]:
    """The webhooks of the tables in a text, with secrets that are in the environment."""
    tables = "\n".join(block.body for block in blocks(text) if block.form == "toml")
    file = folder / "webhooks.toml"
    file.write_text(tables)
    with pytest.MonkeyPatch.context() as patch:
        for table in tables.split("[[webhook]]")[1:]:
            for name, value in secrets_in(table).items():
                patch.setenv(name, value)
        return load_webhooks(file, secret_of, public_url)


def secrets_in(table: str) -> dict[str, str]:
    """What the variables that a table names may hold: a secret as the vendor gives it out."""
    (name,) = re.findall(r'^connector = "(\w+)"$', table, re.MULTILINE)
    path = shipped_path(name)
    assert path is not None
    schemes = re.findall(r'^schemes = \["(\w+)"', table, re.MULTILINE)
    scheme = schemes[0] if schemes else load_connector(path).schemes[0].name
    secret = vendor_of(name, scheme).secret(name).ours
    tokens = re.findall(r'^tokens = \["env:(\w+)"', table, re.MULTILINE)
    named = re.findall(r'"env:(\w+)"', table)
    return dict.fromkeys(named, secret) | dict.fromkeys(tokens, text_secret(name).ours)


def test_each_program_on_the_page_reports_its_order(
    running: tuple[Running, Shell], tmp_path: Path
) -> None:
    server, shell = running
    modules = modules_in(tmp_path)

    secrets = {source: server.secret(source=source) for source, _ in PROGRAMS}

    def run(source: str, program: Block) -> None:
        told = {"TOUCHSTONE_URL": server.url, "TOUCHSTONE_SECRET": secrets[source]}
        run_program(source, program, tmp_path / source, modules, told)

    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        list(pool.map(run, *zip(*PROGRAMS, strict=True)))
    found = recorded(shell, *IN_CLEAR)
    for source, _ in PROGRAMS:
        orders = [fact(t) for t in found[source] if t["type"] == EVENT["type"]]
        assert orders == [FACT], source


def test_each_client_has_a_program_but_those_that_are_not_run() -> None:
    without = {title for title, text in CLIENTS.items() if not RUN_BY.keys() & forms_in(text)}
    assert without == NOT_RUN


def forms_in(text: str) -> set[str]:
    return {block.form for block in blocks(text)}


def run_program(
    source: str, program: Block, folder: Path, modules: Path, told: Mapping[str, str]
) -> None:
    """Run a program of the page in a folder, as its reader would; it has to end well."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    (folder / "touchpoints.ndjson").write_text(json.dumps(EVENT | {"source": source}) + "\n")
    command, ending = RUN_BY[program.form]
    (folder / f"program{ending}").write_text(SOURCE.sub(source, program.body))
    done = subprocess.run(
        [command, f"program{ending}"],
        cwd=folder,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{source}: {done.stdout}{done.stderr}"


def modules_in(folder: Path) -> Path:
    """A folder of modules with all that the page's programs import."""
    wanted = {name: node_packages("clients", *NODE_PACKAGES) for name in NODE_PACKAGES}
    wanted[JITSU] = node_packages("jitsu", JITSU)
    for package, installed in wanted.items():
        name = package.rpartition("@")[0]
        place = folder / "node_modules" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(installed / "node_modules" / name)
    return folder / "node_modules"


def fact(touchpoint: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a recorded order says."""
    total = touchpoint["data"]["total"]
    return (
        *(touchpoint["type"], touchpoint["subject"], touchpoint["data"]["order_id"]),
        *(Decimal(total["amount"]), total["currency"]),
    )


def test_a_vendor_who_looks_first_finds_the_address(running: tuple[Running, Shell]) -> None:
    with running[0].client(None) as client:
        for title, text in VENDORS.items():
            (path,) = re.findall(r'^path = "(.+)"$', text, re.MULTILINE)
            secret = text_secret(CONNECTORS[title].name).ours
            found = client.ask("HEAD", f"/v1/webhooks/{path}?secret={secret}").status
            assert (found == 200) == (LOOKS_FIRST in text), title


def test_the_page_has_a_section_for_each_connector_and_no_other() -> None:
    assert list(VENDORS) == list(CONNECTORS)


@EVERY_VENDOR
def test_the_table_of_a_section_loads(title: str, tmp_path: Path) -> None:
    (webhook,) = loaded(VENDORS[title], tmp_path)
    assert webhook.connector.title == title
    if "--public-url" in VENDORS[title]:
        with pytest.raises(MappingInvalid, match="--public-url"):
            loaded(VENDORS[title], tmp_path, None)
    else:
        assert loaded(VENDORS[title], tmp_path, None)


@EVERY_VENDOR
def test_a_section_names_the_types_that_its_connector_gives(title: str) -> None:
    named = re.findall(r"`([a-z_]+\.[a-z_]+\.v\d+)`", VENDORS[title])
    assert set(named) == set(CONNECTORS[title].types)


@EVERY_VENDOR
def test_the_events_to_choose_are_those_that_the_connector_reads(title: str) -> None:
    path = shipped_path(CONNECTORS[title].name)
    assert path is not None
    (choice,) = re.findall(r"^\| choose \| (.*) \|$", VENDORS[title], re.MULTILINE)
    known = path.read_text("utf-8")
    named = re.findall(r"`([^`]+)`", choice)
    assert [name for name in named if not re.search(rf"(?<![\w.]){name}(?![\w.])", known)] == []
