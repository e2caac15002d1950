"""`touchstone token`, and what a token lets its holder do on the command line."""

import json
from pathlib import Path

import click
import pytest

from cli.main import COMMANDS, touchstone
from cli.rights import ANY, NEEDS, rights_for
from ledger.access import ROLES, Right
from tests.cli.facts import described, event, order, programme, record
from tests.cli.running import Ran, Shell, order_line
from tests.house.sources import ROOT

DENIED = 9


@pytest.fixture
def busy(shell: Shell) -> Shell:
    record(
        shell,
        programme(),
        described(name="Ana Rossi"),
        order("A1", "10.00", "2026-01-05T10:00:00Z"),
    )
    return shell


def made(shell: Shell, role: str, source: str = "*", *more: str) -> dict[str, str]:
    ran = shell("token", "create", "--role", role, "--source", source, *more, "-o", "json")
    assert ran.code == 0, ran.err
    token: dict[str, str] = ran.json
    return token


def by(shell: Shell, secret: str, *arguments: str, stdin: bytes = b"") -> Ran:
    return shell("--token", secret, *arguments, stdin=stdin)


def commands() -> list[str]:
    """Every command that does something, such as `customer list`."""
    found, ctx = [], click.Context(touchstone)
    for name in COMMANDS:
        command = touchstone.get_command(ctx, name)
        inner = command.commands if isinstance(command, click.Group) else {}
        found += [f"{name} {each}" for each in inner] or [name]
    return found


def test_a_token_is_told_once_and_listed_without_its_secret(shell: Shell) -> None:
    token = made(shell, "analyst", "crm", "--name", "ana", "--expires", "2100-01-01")
    listed = shell("token", "list").json
    assert token.pop("token").startswith("tst_")
    assert listed == token
    assert (listed["name"], listed["role"], listed["source"]) == ("ana", "analyst", "crm")
    assert (listed["state"], listed["expires_at"][:10]) == ("valid", "2100-01-01")
    assert shell("token", "create", "--role", "analyst", "--source", "x", "--name", "ana").code == 6


def test_people_get_the_secret_alone_on_a_line(shell: Shell) -> None:
    ran = shell("token", "create", "--role", "emitter", "--source", "shop", "-o", "table")
    assert ran.out.startswith("tst_")
    assert len(ran.out.split()) == 1
    assert "this once" in ran.err


def test_a_script_gets_the_secret_and_nothing_else_in_every_form(shell: Shell) -> None:
    for form in ("table", "json", "ndjson", "csv"):
        ran = shell("-o", form, "token", "create", "--role", "cashier", "--source", "till",
                    "--secret-only")  # fmt: skip
        secret = ran.out.removesuffix("\n")
        assert (ran.code, secret[:4], secret.split()) == (0, "tst_", [secret]), form
        assert by(shell, secret, "append", "-").code == 0


def test_what_cannot_be_a_token_is_refused(shell: Shell) -> None:
    for wrong in (
        ("--role", "owner", "--source", "x"), ("--role", "analyst"),
        ("--role", "analyst", "--source", ""),
        ("--role", "analyst", "--source", "x", "--name", "\x1b[31m"),
        ("--role", "analyst", "--source", "x", "--expires", "2020-01-01"),
    ):  # fmt: skip
        assert shell("token", "create", *wrong).code == 2
    assert shell("token", "list").out == ""


def test_a_revoked_token_opens_nothing_any_more(busy: Shell) -> None:
    token = made(busy, "analyst")
    assert by(busy, token["token"], "customer", "list").code == 0
    assert busy("token", "revoke", token["id"]).json["state"] == "revoked"
    refused = by(busy, token["token"], "customer", "list")
    assert (refused.code, refused.out, "revoked" in refused.err) == (DENIED, "", True)
    assert token["token"] not in refused.err
    assert busy("token", "revoke", "nonsense").code == 4


def test_the_environment_may_hold_the_token(busy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_TOKEN", made(busy, "emitter")["token"])
    refused = busy("customer", "list")
    assert (refused.code, refused.out) == (DENIED, "")
    assert "analyst, operator, auditor or privacy_officer" in refused.err
    monkeypatch.setenv("TOUCHSTONE_TOKEN", "tst_unknown")
    refused = busy("customer", "list")
    assert (refused.code, "tst_unknown" in refused.err) == (DENIED, False)


TRIED = {
    Right.APPEND: ("append", "-"),
    Right.SPEND: ("loyalty", "redeem", "customer:42", "1", "--id", "g1"),
    Right.READ: ("customer", "list"),
    Right.OPERATE: ("projection", "run"),
    Right.AUDIT: ("log", "list"),
    Right.REVEAL: ("customer", "list", "--reveal", "a test"),
    Right.OWN: ("token", "list"),
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_what_its_rights_say_and_no_more(busy: Shell, role: str) -> None:
    secret = made(busy, role)["token"]
    for right, arguments in TRIED.items():
        ran = by(busy, secret, *arguments, stdin=order_line(7))
        assert (ran.code == 0) == (right in ROLES[role]), (right, ran.err)
        assert ran.code in (0, DENIED)
        assert ran.code == 0 or not ran.out
    assert by(busy, secret, "doctor").code == (0 if Right.OPERATE in ROLES[role] else DENIED)


def test_an_emitter_reports_for_its_own_source_and_the_rest_is_kept(shell: Shell) -> None:
    secret = made(shell, "emitter", "shop")["token"]
    lines = order_line(1) + b"\n" + order_line(2, source="crm")
    ran = by(shell, secret, "append", "-", stdin=lines)
    assert (ran.code, ran.json["recorded"], ran.json["quarantined"]) == (3, 1, 1)
    assert "the token may report for the source shop only" in ran.err


def test_an_emitter_spends_nothing_and_learns_nothing(busy: Shell) -> None:
    secret = made(busy, "emitter")["token"]
    said = set()
    for subject, points in (("customer:42", "1"), ("customer:42", "9999"), ("customer:none", "1")):
        ran = by(busy, secret, "loyalty", "redeem", subject, points)
        assert (ran.code, ran.out) == (DENIED, "")
        said.add(ran.err)
    assert len(said) == 1
    assert "cashier or operator" in said.pop()


def test_what_holds_the_keys_or_grants_rights_is_the_owners(busy: Shell, tmp_path: Path) -> None:
    secret = made(busy, "operator")["token"]
    for arguments in (
        ("token", "create", "--role", "privacy_officer", "--source", "*"),
        ("backup", str(tmp_path / "a"), "--keys", str(tmp_path / "b")),
        ("init",), ("restore", str(tmp_path / "nothing")), ("roles",),
    ):  # fmt: skip
        ran = by(busy, secret, *arguments)
        assert ran.code in (DENIED, 2)
        assert ran.out == ""
    assert not (tmp_path / "b").exists()
    assert by(busy, secret, "backup", str(tmp_path / "a")).code == 0
    relay = ("relay", "--topic", "t", "--bootstrap-servers", "127.0.0.1:1", "--personal")
    assert by(busy, secret, *relay).code == DENIED


def test_every_command_states_which_right_it_needs() -> None:
    assert [name for name in commands() if name not in NEEDS] == []
    assert rights_for("a command that nobody has thought of") == (Right.OWN,)
    open_to_all = {name for name, rights in NEEDS.items() if rights == ANY}
    assert open_to_all == {
        "schema list",
        "schema show",
        "schema publish",
        "completion",
        "replay diff",
        "audit check",
        "connector list",
        "connector show",
        "connector test",
    }


def test_the_page_of_security_shows_the_rights_of_each_role() -> None:
    page = (ROOT / "docs/SECURITY.md").read_text("utf-8")
    rights = [right for right in Right if right is not Right.OWN]
    for role, its in ROLES.items():
        marks = ["yes" if right in its else "" for right in rights]
        assert f"| `{role}` | {' | '.join(marks)} |".replace("  ", " ") in page
    assert f"| | {' | '.join(right.value for right in rights)} |" in page


def test_an_emitter_neither_merges_nor_voids_nor_forges(busy: Shell) -> None:
    secret = made(busy, "emitter", "*")["token"]
    facts = [
        event("customer.merged.v1", {"other": "customer:7", "reason": "none"}),
        event("touchpoint.voided.v1", {"voided_source": "shop", "voided_id": "1", "reason": "x"}),
        event("personal_data.viewed.v1", {"of": "customer:42", "fields": [], "purpose": "none"},
              subject="reader:ben"),
        order("A2", "10.00", "2026-01-06T10:00:00Z", source="touchstone"),
        event("customer.linked.v1", {"other": "anonymous:c9"}),
    ]  # fmt: skip
    ran = by(busy, secret, "append", "-", stdin="\n".join(map(json.dumps, facts)).encode())
    assert (ran.code, ran.json["recorded"], ran.json["quarantined"]) == (3, 1, 4)
    assert busy("customer", "looks", "customer:42", "-o", "json").json == []
    subjects = busy("customer", "show", "customer:42", "-o", "json").json["subjects"]
    assert subjects == ["anonymous:c9", "customer:42"]


def test_retrying_all_passes_over_what_a_token_had_no_right_to(shell: Shell) -> None:
    secret = made(shell, "emitter", "shop")["token"]
    lines = order_line(1, source="crm") + b"\n" + order_line(2, source="crm")
    assert by(shell, secret, "append", "-", stdin=lines).code == 3
    ran = shell("-q", "quarantine", "retry", "--all")
    assert (ran.code, ran.json["recorded"]) == (0, 0)
    assert "2 entries" in ran.err
    assert "by number" in ran.err
    ran = shell("quarantine", "retry", "1")
    assert (ran.code, ran.json["recorded"]) == (0, 1)
    assert [entry["entry"] for entry in shell("quarantine", "list", "-o", "json").json] == [2]


def test_an_empty_variable_makes_nobody_the_owner(
    busy: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = made(busy, "analyst")["token"]
    monkeypatch.setenv("TOUCHSTONE_TOKEN", "")
    for command in (("customer", "list"), ("token", "list"), ("init",), ("doctor",)):
        ran = busy(*command)
        assert (ran.code, ran.out) == (DENIED, ""), command
        assert "TOUCHSTONE_TOKEN is set, and empty" in ran.err
    assert by(busy, secret, "customer", "list").code == 0
    assert busy("customer", "list", "--token", secret).code == 0
    assert busy("--token", "", "customer", "list").code == DENIED
    assert busy("schema", "list").code == 0
