"""`customer export`: all that is known of a person, for that person, as JSON and as a page."""

import json
import stat
from typing import Any

import pytest

from ledger.errors import Unreachable
from tests.cli.facts import described, event, order, programme, record, refund, ticket
from tests.cli.running import Shell
from tests.places import plain_connection

WHY = ("--reveal", "request 2026-17")
EXPORT = ("customer", "export", "customer:42")
NAME, ADDRESS, SECRET = "Ana Rossi", "ana@example.com", "a difficult one"


def note(text: str, at: str, *, internal: bool, **more: Any) -> dict[str, Any]:
    data = {"note_id": text[:5], "text": text, "agent": "Bea", "internal": internal}
    return event("note.added.v1", data, at, **more)


def comment(text: str, at: str, author: str, *, public: bool) -> Any:
    return ticket("commented", "T1", at, author=author, public=public, text=text)


def consent(what: str, at: str) -> dict[str, Any]:
    return event(f"consent.{what}.v1", {"channel": "email", "purpose": "marketing"}, at)


@pytest.fixture
def life(shell: Shell) -> Shell:
    """A customer who bought, complained, allowed and refused, with two internal notes on her."""
    record(
        shell,
        programme(),
        described(name=NAME, email=ADDRESS, company="Rossi"),
        consent("granted", "2026-01-02T10:00:00Z"),
        order("A1", "100.00", "2026-01-05T10:00:00Z"),
        refund("A1", "30.00", "2026-01-06T10:00:00Z"),
        ticket("opened", "T1", "2026-02-07T10:00:00Z", title="A broken lid"),
        comment("It fell off", "2026-02-07T11:00:00Z", "customer", public=True),
        comment(SECRET + " on the phone", "2026-02-07T12:00:00Z", "agent", public=False),
        consent("withdrawn", "2026-03-01T10:00:00Z"),
        note("Sends her regards", "2026-03-02T10:00:00Z", internal=False),
        note(SECRET, "2026-03-03T10:00:00Z", internal=True),
        order("B1", "10.00", "2026-01-07T10:00:00Z", subject="customer:7"),
    )
    return shell


def exported(shell: Shell, subject: str = "customer:42") -> Any:
    ran = shell("customer", "export", subject, *WHY, "-o", "json", "-q")
    assert ran.code == 0, ran.err
    return ran.json


def head(shell: Shell) -> int:
    position: int = shell("log", "tail", "-n", "1").json["position"]
    return position


def looks(shell: Shell) -> Any:
    return shell("customer", "looks", "customer:42", "-o", "json").json


def test_the_file_has_all_that_is_known_of_a_person_in_clear(life: Shell) -> None:
    content = exported(life)
    assert (content["customer"], content["purpose"]) == ("customer:42", "request 2026-17")
    assert content["profile"]["traits"]["name"]["value"] == NAME
    assert [(c["state"], c["from"], c["until"]) for c in content["consents"]] == [
        ("granted", "2026-01-02T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("withdrawn", "2026-03-01T10:00:00Z", None),
    ]
    main = content["loyalty"]["main"]
    assert [(m["kind"], m["points"], m["balance"]) for m in main["statement"]] == [
        ("earned", 10, 10), ("taken back", -3, 7),
    ]  # fmt: skip
    assert main["balance"]["active"] == 7
    assert [(t["ticket"], t["title"]["value"]) for t in content["tickets"]] == [
        ("T1", "A broken lid")
    ]
    assert [(o["order"], o["net"]["amount"], o["status"]) for o in content["orders"]] == [
        ("A1", "70.00", "partly refunded")
    ]
    told = {entry["type"]: entry["data"] for entry in content["timeline"]}
    assert told["customer.described.v1"]["traits"]["email"] == ADDRESS
    assert told["ticket.commented.v1"]["text"] == "It fell off"
    assert told["note.added.v1"]["text"] == "Sends her regards"


def test_it_says_who_looked_and_the_look_at_itself_is_among_them(life: Shell) -> None:
    life("customer", "show", "customer:42", "--reveal", "a complaint")
    content = exported(life)
    assert [look["purpose"] for look in content["looks"]] == ["a complaint", "request 2026-17"]
    assert content["looks"] == [
        look | {"in_words": told["in_words"]}
        for look, told in zip(looks(life), content["looks"], strict=True)
    ]
    assert content["looks"][0]["in_words"].endswith("looked at email and name of customer 42")
    assert {"title", "text", "traits.name"} <= set(content["looks"][1]["fields"])


def test_internal_notes_are_counted_and_not_there(life: Shell) -> None:
    ran = life(*EXPORT, *WHY, "--page", str(life.folder / "page.html"), "-o", "json")
    page = (life.folder / "page.html").read_text("utf-8")
    assert "regards" in ran.out
    assert "regards" in page
    assert SECRET not in ran.out + page
    content = ran.json
    (internal,) = [entry for entry in content["left_out"] if entry["what"] == "internal"]
    assert internal["count"] == 2
    assert internal["why"] in page
    assert content["profile"]["last_interaction"]["time"] == "2026-03-02T10:00:00Z"
    assert content["tickets"][0]["comments"] == {"public": 1}


def test_views_that_are_behind_do_not_shorten_the_file(life: Shell) -> None:
    late = json.dumps(order("A2", "50.00", "2026-03-05T10:00:00Z")).encode()
    assert life("append", "--no-follow", stdin=late).code == 0
    content = exported(life)
    assert [o["order"] for o in content["orders"]] == ["A1", "A2"]
    assert content["profile"]["orders"]["count"] == 2
    assert content["loyalty"]["main"]["balance"]["active"] == 12


def test_a_person_of_several_subjects_gets_the_union(life: Shell) -> None:
    merging = ("customer", "merge", "customer:42", "customer:7", "--reason", "she called", "--yes")
    assert life(*merging, "--id", "m1").code == 0
    cookie = event("customer.linked.v1", {"other": "anonymous:c9"}, source="web")
    record(life, cookie, order("C1", "5.00", "2026-04-01T10:00:00Z", subject="anonymous:c9"))
    content = exported(life, "customer:7")
    assert content == content | {"subjects": ["anonymous:c9", "customer:42", "customer:7"]}
    assert [o["order"] for o in content["orders"]] == ["A1", "B1", "C1"]
    assert sorted(i["in_words"] for i in content["identities"]) == [
        "somebody decided that customer 42 and customer 7 are the same person",
        "web reported that customer 42 and the visitor without a name c9 are the same person",
    ]
    (merged,) = [t for t in content["timeline"] if t["type"] == "customer.merged.v1"]
    assert merged["summary"].endswith("are the same person: she called")


def test_who_was_taken_for_another_is_not_told_whom(life: Shell) -> None:
    other = "email:bob@example.com"
    record(life, order("B9", "9.00", "2026-01-05T10:00:00Z", subject=other))
    why = ("--reason", "Bob said so", "--yes")
    assert life("customer", "merge", "customer:42", other, *why).code == 0
    assert life("customer", "unmerge", "customer:42", other, *why).code == 0
    ran = life(*EXPORT, *WHY, "-o", "json")
    assert "bob" not in ran.out.lower()
    assert "email:~" not in ran.out
    content = ran.json
    mixed = [t for t in content["timeline"] if t["type"].startswith("customer.")][-2:]
    assert [t["data"] for t in mixed] == [{"other": "[another person]"}] * 2
    assert [e["count"] for e in content["left_out"] if e["what"] == "others"] == [2]
    assert life("customer", "looks", other).out == ""


def test_what_others_did_to_an_order_does_not_name_them(life: Shell) -> None:
    record(life, refund("A1", "1.00", "2026-01-08T10:00:00Z", subject="customer:7"))
    ran = life(*EXPORT, *WHY)
    assert "customer:7" not in ran.out
    theirs = exported(life, "customer:7")
    assert [o["order"] for o in theirs["orders"]] == ["B1"]
    assert "customer:42" not in json.dumps(theirs)


def test_of_an_erased_person_what_nobody_can_read_is_said_to_be_erased(life: Shell) -> None:
    with plain_connection(life.address, keys=True) as keys:
        keys.execute("DELETE FROM subject_keys WHERE subject = 'customer:42'")
    page = life.folder / "page.html"
    content = life(*EXPORT, *WHY, "--page", str(page), "-o", "json").json
    assert content["profile"]["traits"]["name"]["value"] == "[erased]"
    assert content["tickets"][0]["title"]["value"] == "[erased]"
    assert content["orders"][0]["net"]["amount"] == "70.00"
    (erased,) = [entry for entry in content["left_out"] if entry["what"] == "erased"]
    assert erased["count"] == 5  # name, address, title, comment, note
    assert "[erased]" in page.read_text("utf-8")
    assert looks(life) == []


def test_an_address_that_was_erased_leaves_no_token_on_the_page(life: Shell) -> None:
    bob, linked = "email:bob@example.com", {"other": "phone:+39055123456"}
    record(life, event("customer.linked.v1", linked, subject=bob))
    assert life("customer", "erase", bob, "--reason", "R1", "--confirm", bob).code == 0
    page = life.folder / "page.html"
    ran = life("customer", "export", bob, *WHY, "--page", str(page))
    assert "the email address [erased] and the phone number [erased] are" in ran.out
    text = page.read_text("utf-8")
    assert "<td>the phone number [erased]</td>" in text
    assert not [left for left in ("bob", "055123456", ":~") if left in ran.err + text]


def test_files_are_for_their_owner_alone_and_named_on_standard_output(life: Shell) -> None:
    out, page = life.folder / "42.json", life.folder / "42.html"
    ran = life(*EXPORT, *WHY, "--out", str(out), "--page", str(page))
    assert ran.json == {"touchpoints": 8, "file": str(out), "page": str(page)}
    assert {stat.S_IMODE(file.stat().st_mode) for file in (out, page)} == {0o600}
    assert json.loads(out.read_text("utf-8"))["customer"] == "customer:42"
    assert NAME in page.read_text("utf-8")
    assert not list(life.folder.glob(".touchstone-export*"))


def test_a_file_that_is_there_is_not_written_over_unasked(life: Shell) -> None:
    there, new = life.folder / "there", life.folder / "new"
    there.write_text("mine")
    before = head(life)
    for options in (("--out", there, "--page", new), ("--out", new, "--page", there)):
        ran = life(*EXPORT, *WHY, *map(str, options))
        assert (ran.code, ran.out, "--yes" in ran.err) == (2, "", True)
        assert (there.read_text(), new.exists()) == ("mine", False)
    assert head(life) == before
    assert life(*EXPORT, *WHY, "--out", str(there), "--yes").code == 0
    assert NAME in there.read_text("utf-8")
    assert life(*EXPORT, *WHY, "--out", str(new), "--page", str(new)).code == 2


def test_where_the_look_cannot_be_recorded_nothing_is_shown_or_written(
    life: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise Unreachable("the server is gone")

    before = set(life.folder.iterdir())
    monkeypatch.setattr("ledger.log.Log.append", lost)
    for files in ((), ("--out", "o.json", "--page", "p.html")):
        named = [name if name.startswith("--") else str(life.folder / name) for name in files]
        ran = life(*EXPORT, *WHY, *named)
        assert (ran.code, ran.out) == (7, "")
    assert set(life.folder.iterdir()) == before


def test_it_takes_a_purpose_a_right_and_a_customer(life: Shell) -> None:
    life("customer", "show", "customer:42", "--reveal", "a complaint", "-q")
    (reader,) = {f"reader:{look['reader']}" for look in looks(life)}
    before = head(life)
    assert life(*EXPORT).code == 2
    for nobody in ("customer:nobody", "programme:main", reader):
        ran = life("customer", "export", nobody, *WHY)
        assert (ran.code, ran.out) == (4, ""), nobody
    for role, code in (("auditor", 9), ("privacy_officer", 0)):
        token = life("token", "create", "--role", role, "--source", "*").json["token"]
        assert life("--token", token, *EXPORT, *WHY).code == code
    assert head(life) == before + 1
