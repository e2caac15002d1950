"""The ties between subjects, as they are written with the facts and carried by an upgrade."""

from importlib.resources import files
from typing import Any

from ledger.address import Address
from ledger.ledger import Ledger, open_ledger
from ledger.sqlite.address import SQLiteAddress
from tests.ledger.sending import order, query, send

EMAIL = "ana@example.com"
DESCRIBED = order("d", type="customer.described.v1", data={"traits": {"email": EMAIL}})
LINKED = order("l", type="customer.linked.v1", data={"other": "anonymous:c9"})
MERGED = order("m", type="customer.merged.v1", data={"other": f"email:{EMAIL}", "reason": "same"})
ITSELF = order("i", type="customer.linked.v1", data={"other": "customer:1"}, subject="customer:1")
RULES = order(
    "r",
    type="identity.rules_published.v1",
    subject="rules:identity",
    data={
        "version": 1, "valid_from": "2026-01-01T00:00:00Z", "link_kinds": ["customer"],
        "blocked_values": [EMAIL, "0000"], "at_most": {},
    },
)  # fmt: skip


def ties(ledger: Ledger) -> list[Any]:
    return sorted(query(ledger, "SELECT subject, other, position FROM ties"))


def test_each_fact_about_who_is_who_leaves_a_tie_in_both_directions(ledger: Ledger) -> None:
    send(ledger, DESCRIBED, LINKED, MERGED, ITSELF, RULES)
    token = ledger.vault.stored_subject(f"email:{EMAIL}")
    subject = DESCRIBED["subject"]
    pairs = [(subject, token, 1), (subject, "anonymous:c9", 2), (subject, token, 3),
             ("rules:identity", token, 5)]  # fmt: skip
    assert ties(ledger) == sorted(
        (one, two, at) for a, b, at in pairs for one, two in ((a, b), (b, a))
    )


def test_an_upgrade_finds_the_ties_of_what_was_recorded_before(address: Address) -> None:
    """The script of the upgrade, run again on a ledger that has forgotten its ties."""
    with open_ledger(address) as ledger:
        send(ledger, DESCRIBED, LINKED, MERGED)
        expected = ties(ledger)
        kind = "sqlite" if isinstance(address, SQLiteAddress) else "postgres"
        script = files(f"ledger.{kind}").joinpath("migrations", "003_people.sql").read_text()
        inserts = [s for s in script.split(";") if "INSERT INTO ties" in s]
        with ledger.store.cursor(write=True) as cursor:
            cursor.execute("DELETE FROM ties")
            for statement in inserts:
                cursor.execute(statement)
        assert ties(ledger) == expected
