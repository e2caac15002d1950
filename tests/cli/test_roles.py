"""Roles: what readers, writers and operators of a ledger on PostgreSQL may do, and may not."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from ledger.ledger import open_ledger
from ledger.postgres.roles import OPERATOR, READER, WRITER
from tests.cli.facts import described
from tests.cli.running import Ran, Shell, order_line
from tests.servers.postgres import Server, temporary_server

USERS = {"ann": READER, "wil": WRITER, "opa": OPERATOR}
DENIED = 9


class Company(Shell):
    """A ledger on a server, with a user in each role."""

    def __init__(self, folder: Path, dsn: str) -> None:
        super().__init__(folder)
        self.dsn = dsn
        self.url = dsn
        self.keys = str(folder / "keys")

    def by(self, user: str, *arguments: str, stdin: bytes = b"") -> Ran:
        """What a command gives when this user runs it, as nothing but his role."""
        role = quote(f"-c role={USERS[user]}")
        self.url = f"{self.as_user(user)}?options={role}" if user in USERS else self.dsn
        return self("--keys", self.keys, *arguments, stdin=stdin)

    def as_user(self, user: str) -> str:
        return self.dsn.replace("touchstone@", f"{user}@")

    def owner(self, *arguments: str, stdin: bytes = b"") -> Ran:
        self.url = self.dsn
        return self("--keys", self.keys, *arguments, stdin=stdin)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Roles belong to a whole server, so this is one of its own."""
    with temporary_server() as started:
        with psycopg.connect(started.dsn(), autocommit=True) as connection:
            for user in USERS:
                connection.execute(f"CREATE ROLE {user} LOGIN".encode())
        yield started


@pytest.fixture
def company(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Company]:
    name = f"company_{abs(hash(request.node.name))}"
    made = Company(tmp_path, server.created(name))
    assert made.owner("init").code == 0
    assert made.owner("roles").json["roles"] == [READER, WRITER, OPERATOR]
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        for user, role in USERS.items():
            connection.execute(f"GRANT {role} TO {user}".encode())
    yield made
    server.drop(name)


@pytest.fixture
def busy(company: Company) -> Company:
    """A company with an order in its ledger, and in its views."""
    assert company.owner("append", "-", stdin=order_line(1)).code == 0
    assert company.owner("roles").code == 0, "the owner's tables are handed over"
    return company


def test_a_reader_may_be_the_first_to_come(company: Company) -> None:
    assert company.by("ann", "log", "list").code == 0


def test_what_a_writer_has_recorded_is_told_although_he_may_not_follow(company: Company) -> None:
    told = company.by("wil", "append", "-", stdin=order_line(2))
    assert (told.code, told.json["recorded"]) == (0, 1)
    assert "the views are not up to date yet" in told.err


def test_a_reader_sees_everything_and_records_nothing(busy: Company) -> None:
    assert busy.by("ann", "customer", "show", "customer:42").json["orders"]["count"] == 1
    assert busy.by("ann", "projection", "verify", "--all").code == 0
    replayed = busy.by("ann", "replay", "--into", str(busy.folder / "replay.db"))
    assert (replayed.code, replayed.json["touchpoints"]) == (0, 1)
    refused = busy.by("ann", "append", "-", stdin=order_line(2))
    assert (refused.code, refused.out) == (DENIED, "")
    assert "permission denied" in refused.err
    assert busy.by("ann", "projection", "rebuild", "--all").code == DENIED


def test_who_cannot_record_a_look_sees_masks_only(busy: Company) -> None:
    busy.owner("append", "-", stdin=json.dumps(described(name="Ana Rossi")).encode())
    assert busy.by("ann", "customer", "show", "customer:42").code == 0
    refused = busy.by("ann", "customer", "show", "customer:42", "--reveal", "a claim")
    assert (refused.code, refused.out) == (DENIED, "")


@pytest.mark.parametrize("user", USERS)
def test_nobody_but_the_owner_makes_tokens(company: Company, user: str) -> None:
    wanted = ("token", "create", "--role", "privacy_officer", "--source", "*")
    refused = company.by(user, *wanted)
    assert (refused.code, refused.out) == (DENIED, "")
    token = company.owner(*wanted).json
    assert company.by(user, "customer", "list", "--token", token["token"]).code == 0
    assert company.by(user, "token", "revoke", token["id"]).code == DENIED


def test_a_writer_records_and_leaves_the_views_to_the_follower(company: Company) -> None:
    lines = order_line(2) + b"\n" + b"{broken\n"
    receipt = company.by("wil", "append", "--no-follow", "-", stdin=lines).json
    assert (receipt["recorded"], receipt["quarantined"]) == (1, 1)
    assert company.by("wil", "projection", "run").code == DENIED


def test_an_operator_follows_and_rebuilds_and_records_nothing(busy: Company) -> None:
    busy.by("wil", "append", "--no-follow", "-", stdin=order_line(2))
    assert busy.by("opa", "projection", "run").code == 0
    for _ in range(2):  # the second drops what the first has retired
        assert busy.by("opa", "projection", "rebuild", "--all").code == 0
    assert busy.by("opa", "projection", "rollback", "customers", "--yes").code == 0
    assert busy.by("ann", "customer", "show", "customer:42").json["orders"]["count"] == 2
    assert busy.by("opa", "append", "-", stdin=order_line(3)).code == DENIED


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {}.stored_events SET topic = 'x'", "DELETE FROM {}.stored_events",
     "TRUNCATE {}.stored_events", "ALTER TABLE {}.stored_events DISABLE TRIGGER ALL",
     "UPDATE {}.head SET position = -1", "DELETE FROM {}.head",
     "UPDATE {}_keys.subject_keys SET wrapped = ''"],
)  # fmt: skip
def test_nobody_changes_the_log(company: Company, user: str, statement: str) -> None:
    with (
        psycopg.connect(company.as_user(user), autocommit=True) as connection,
        pytest.raises(psycopg.Error) as refused,
    ):
        connection.execute(statement.format("touchstone").encode())
    assert refused.value.sqlstate in ("42501", "P0001")


def test_the_owner_is_stopped_by_the_triggers(company: Company) -> None:
    with psycopg.connect(company.dsn, autocommit=True) as connection:
        for statement in ("DELETE FROM {}.stored_events", "UPDATE {}.head SET position = -1"):
            with pytest.raises(psycopg.errors.RaiseException):
                connection.execute(statement.format("touchstone").encode())


def test_what_would_be_done_is_shown_and_not_done(company: Company) -> None:
    shown = company.owner("roles", "--dry-run")
    assert "CREATE ROLE touchstone_reader" in shown.out


def test_a_file_has_no_roles(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell("init")
    ran = shell("roles")
    assert (ran.code, "for a ledger on PostgreSQL" in ran.err) == (2, True)


def test_operators_seal_and_readers_verify_and_prove(busy: Company) -> None:
    for user in ("ann", "wil"):
        assert busy.by(user, "audit", "seal").code == DENIED
    assert busy.by("opa", "audit", "seal").code == 0
    ran = busy.by("ann", "audit", "verify")
    assert (ran.code, ran.json["sealed"]) == (0, 1)
    assert busy.by("ann", "audit", "prove", "1", "--source", "shop").code == 0


@pytest.mark.parametrize("user", USERS)
def test_who_may_not_remove_what_is_left_of_the_erased_is_told_so_and_goes_on(
    company: Company, user: str
) -> None:
    company.owner("append", "-", stdin=json.dumps(described(email="ana@example.com")).encode())
    assert company.owner("roles").code == 0
    with open_ledger(company.address) as ledger:
        ledger.keyring.destroy(["customer:42"])  # as if an old copy of the tables were put back
    find = ("customer", "list", "--find", "ana@example.com", "-o", "json")
    ran = company.by(user, *find)
    assert (ran.code, len(ran.json)) == (0, 1)
    assert "still has traces of 1 erased subjects" in ran.err
    company.owner("doctor")
    ran = company.by(user, *find)
    assert (ran.code, ran.json, ran.err) == (0, [], "")
