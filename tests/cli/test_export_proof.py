"""`customer export --proof`: the auditor's file, which is checked with what is in it alone."""

import csv
import io
import json
import re
import stat
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Unreachable
from ledger.masking import MASK
from tests.cli.facts import described, event, order, programme, record, ticket
from tests.cli.running import Ran, Shell
from tests.cli.test_export_page import Elements
from tests.house.sources import ROOT

WHY = ("--reveal", "audit 2026")
SECRET, FORMULA, MARKUP = "a difficult one", "=cmd()|'/C calc'!A0", "<script>alert(1)</script>"


@pytest.fixture
def life(shell: Shell) -> Shell:
    """A customer with points, a ticket, an internal note, a formula and some markup; sealed."""
    note = {"note_id": FORMULA, "text": SECRET, "agent": MARKUP, "internal": True}
    record(
        shell,
        programme(),
        described(name="Ana Rossi", email="ana@example.com"),
        order("A1", "100.00", "2026-01-05T10:00:00Z", source=FORMULA),
        ticket("opened", "T1", "2026-02-07T10:00:00Z", title=MARKUP),
        event("note.added.v1", note, "2026-03-03T10:00:00Z"),
        order("B1", "10.00", "2026-01-07T10:00:00Z", subject="customer:7"),
    )
    seal(shell)
    return shell


def seal(shell: Shell) -> None:
    assert shell("audit", "seal", "--out", str(shell.folder / "kept.json")).code == 0


def export(shell: Shell, subject: str = "customer:42", *more: str) -> Ran:
    out = str(shell.folder / "file.zip")
    return shell("customer", "export", subject, "--proof", "--out", out, *WHY, "--yes", *more)


def unpacked(shell: Shell, subject: str = "customer:42") -> Path:
    """The folder into which the file of a person was unpacked."""
    ran = export(shell, subject)
    assert ran.code == 0, ran.err
    folder = shell.folder / "unpacked"
    with zipfile.ZipFile(shell.folder / "file.zip") as packed:
        packed.extractall(folder)
    return folder


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def checked(folder: Path, proof: Path) -> tuple[int, str]:
    """What the program in the file says of a proof, with a Python that knows nothing of ours."""
    ran = subprocess.run(
        [sys.executable, "-I", "check.py", str(proof), "--head", "head.json", "--key",
         "ledger.pem"],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


def looks(shell: Shell) -> Any:
    return shell("customer", "looks", "customer:42", "-o", "json").json


def test_every_touchpoint_is_proven_by_what_is_in_the_file_alone(life: Shell) -> None:
    folder = unpacked(life)
    told = {entry["position"]: entry for entry in lines(folder / "timeline.ndjson")}
    proofs = sorted((folder / "proofs").iterdir())
    assert [int(path.stem) for path in proofs] == sorted(told)
    checker = ROOT / "cli" / "standalone_check.py"
    assert (folder / "check.py").read_bytes() == checker.read_bytes()
    assert (folder / "head.json").read_bytes() == (life.folder / "kept.json").read_bytes()
    for path in proofs:
        code, said = checked(folder, path)
        assert (code, said.startswith(f"GOOD: position {int(path.stem)} ")) == (0, True)
        leaf, entry = json.loads(path.read_bytes())["leaf"], told[int(path.stem)]
        assert [leaf[n] for n in ("topic", "source", "id")] == [
            entry[n] for n in ("type", "source", "id")
        ]


def test_a_proof_with_a_byte_changed_fails(life: Shell) -> None:
    folder = unpacked(life)
    proof = min((folder / "proofs").iterdir())
    good = proof.read_bytes()
    at = good.index(b'"state": "') + 40
    proof.write_bytes(good[:at] + (b"A" if good[at : at + 1] != b"A" else b"B") + good[at + 1 :])
    code, said = checked(folder, proof)
    assert (code, said[:4]) == (5, "BAD:")


def test_the_commands_in_the_read_me_do_what_it_says(life: Shell) -> None:
    folder = unpacked(life)
    text = (folder / "README.txt").read_text("utf-8")
    assert "internal" in text
    assert "customer:42" in text
    one, every = re.findall(r"^ +(python .*)$", text, re.MULTILINE)
    said = []
    for command in (one, every):
        command = command.replace("python", f"'{sys.executable}'", 1)
        ran = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
        said.append(ran.stdout)
    assert said[0].startswith("GOOD: ")
    assert len(said[1].splitlines()) == len([*(folder / "proofs").iterdir()])


def test_its_list_has_the_sha_256_of_every_file(life: Shell) -> None:
    ran = export(life)
    out = life.folder / "file.zip"
    assert ran.json == {
        "touchpoints": 4, "proofs": 4, "sealed": 6, "file": str(out),
        "sha256": sha256(out.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with zipfile.ZipFile(out) as packed:
        sums = [line.split("  ") for line in packed.read("SHA256SUMS").decode().splitlines()]
        assert sorted(name for _, name in sums) == sorted({*packed.namelist()} - {"SHA256SUMS"})
        assert all(sha256(packed.read(name)).hexdigest() == digest for digest, name in sums)


def test_it_has_everything_in_clear_and_no_mask(life: Shell) -> None:
    folder = unpacked(life)
    texts = {
        str(path.relative_to(folder)): path.read_text("utf-8")
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip
    assert not [name for name, text in texts.items() if MASK in text]
    for form in ("ndjson", "csv", "html"):
        assert SECRET in texts[f"timeline.{form}"]
    assert not [name for name, text in texts.items() if name[:7] == "proofs/" and SECRET in text]
    views = {path.stem: json.loads(path.read_bytes()) for path in (folder / "views").iterdir()}
    assert views["customer"]["traits"]["name"]["value"] == "Ana Rossi"
    assert views["loyalty"]["main"]["balance"]["active"] == 10
    assert [t["ticket"] for t in views["tickets"]] == ["T1"]
    assert [o["order"] for o in views["orders"]] == ["A1"]
    assert views["consents"] == []
    assert "customer:7" not in "".join(texts.values())


def test_its_views_and_explanations_are_what_the_commands_say(life: Shell) -> None:
    folder = unpacked(life)
    shown = life("customer", "show", "customer:42", *WHY, "-o", "json").json
    assert json.loads((folder / "views" / "customer.json").read_bytes()) == shown
    for name, command in (
        ("loyalty", ("loyalty", "explain", "customer:42")),
        ("tickets", ("ticket", "explain", "T1")),
        ("customer", ("customer", "explain", "customer:42")),
    ):
        told = life(*command, *WHY, "-o", "json").json
        if name == "customer":  # which has the points as well
            told = [entry for entry in told if not entry["field"].startswith("loyalty.")]
        if name == "tickets":
            told = [{"ticket": "T1"} | entry for entry in told]
        told = [entry for entry in told if not entry["field"].startswith("seconds.")]
        kept = lines(folder / "explanations" / f"{name}.ndjson")
        assert [e for e in kept if not e["field"].startswith("seconds.")] == told
        assert told


def test_what_a_spreadsheet_would_take_for_a_formula_is_none(life: Shell) -> None:
    folder = unpacked(life)
    rows = [*csv.DictReader(io.StringIO((folder / "timeline.csv").read_text("utf-8")))]
    assert [row["source"] for row in rows].count("'" + FORMULA) == 1
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@")]
    assert [row["position"] for row in rows] == [
        str(entry["position"]) for entry in lines(folder / "timeline.ndjson")
    ]


def test_on_its_page_markup_is_text(life: Shell) -> None:
    page = Elements((unpacked(life) / "timeline.html").read_text("utf-8"))
    assert MARKUP in "".join(page.texts)
    assert "script" not in {name for name, _ in page.started}
    attributes = {name for _, attributes in page.started for name, _ in attributes}
    assert attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}


def test_the_look_is_on_record_before_anything_is_written(
    life: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpacked(life)
    (look,) = looks(life)
    assert look["purpose"] == "audit 2026"
    assert {"text", "title", "traits.email", "traits.name"} <= set(look["fields"])
    (told,) = lines(folder / "looks.ndjson")
    assert told["position"] == look["position"]

    def lost(*_: object, **__: object) -> None:
        raise Unreachable("the server is gone")

    def early(*_: object, **__: object) -> None:
        raise AssertionError("written before the look is on record")

    (life.folder / "file.zip").unlink()
    monkeypatch.setattr("ledger.log.Log.append", lost)
    monkeypatch.setattr("cli.bundle.Bundle.add", early)
    before = set(life.folder.iterdir())
    assert export(life).code == 7
    assert set(life.folder.iterdir()) == before


def test_the_file_of_an_erased_person_is_proven_and_says_erased(life: Shell) -> None:
    erase = ("customer", "erase", "customer:42", "--reason", "R1", "--confirm", "customer:42")
    assert life(*erase).code == 0
    seal(life)
    folder = unpacked(life)
    told = lines(folder / "timeline.ndjson")
    assert told[0]["data"]["traits"]["name"] == "[erased]"
    assert told[-1]["type"] == "person.erased.v1"
    kept = "".join(p.read_text("utf-8") for p in folder.rglob("*") if p.is_file())
    assert not [gone for gone in ("Ana Rossi", SECRET, MASK) if gone in kept]
    proofs = sorted((folder / "proofs").iterdir())
    assert len(proofs) == len(told)
    assert {checked(folder, path)[0] for path in (proofs[0], proofs[-1])} == {0}
    assert looks(life) == []


def test_what_is_voided_is_there_with_who_did_it_which_the_person_is_not_told(life: Shell) -> None:
    life("log", "void", "--source", FORMULA, "--reason", "a typo", "--yes", "--", order_id(life))
    reader = life("log", "tail", "-n", "1", *WHY).json["data"]["extra"]["by"]
    seal(life)
    page = unpacked(life) / "timeline.html"
    struck = [t for t in lines(page.parent / "timeline.ndjson") if t["voided"]]
    assert [(t["voided_by"]["by"], t["voided_by"]["reason"]) for t in struck] == [
        (reader, "a typo")
    ]
    assert f"by {reader}" in page.read_text("utf-8")
    given = life("customer", "export", "customer:42", *WHY, "-o", "json").json
    (void,) = [t for t in given["timeline"] if t["type"] == "touchpoint.voided.v1"]
    (struck_out,) = [t for t in given["timeline"] if t["voided"]]
    assert "by" not in void["data"].get("extra", {})
    assert "by" not in struck_out["voided_by"]
    assert [e["count"] for e in given["left_out"] if e["what"] == "operators"] == [1]


def order_id(shell: Shell) -> str:
    (entry,) = shell("log", "list", "--subject", "customer:42", "--type", "order.completed.v1",
                     "-o", "json").json  # fmt: skip
    return str(entry["id"])


def test_what_is_not_sealed_is_not_proven_and_nobody_has_looked(life: Shell) -> None:
    record(life, order("A2", "1.00", "2026-04-01T10:00:00Z"))
    ran = export(life)
    assert (ran.code, "touchstone audit seal" in ran.err) == (4, True)
    assert not (life.folder / "file.zip").exists()
    assert looks(life) == []


def test_a_person_of_several_subjects_has_all_of_them_proven(life: Shell) -> None:
    other = "email:bob@example.com"
    record(life, order("B9", "9.00", "2026-01-05T10:00:00Z", subject=other))
    assert life("customer", "merge", "customer:42", other, "--reason", "one", "--yes").code == 0
    seal(life)
    folder = unpacked(life, other)
    about = json.loads((folder / "about.json").read_bytes())
    assert about["subjects"] == ["customer:42", other]
    told = lines(folder / "timeline.ndjson")
    assert {entry["subject"] for entry in told} == {"customer:42", other}
    assert len([*(folder / "proofs").iterdir()]) == len(told) == 6


def test_it_is_for_auditors_and_privacy_officers_and_goes_into_a_file(life: Shell) -> None:
    for role, code in (("auditor", 0), ("privacy_officer", 0), ("operator", 9), ("analyst", 9)):
        token = life("token", "create", "--role", role, "--source", "*").json["token"]
        out = str(life.folder / f"{role}.zip")
        ran = life(
            "--token", token, "customer", "export", "customer:42", "--proof", "--out", out, *WHY
        )
        assert (ran.code, Path(out).exists()) == (code, code == 0), ran.err
    for more in ((), ("--out", "f.zip", "--page", "p.html")):
        assert life("customer", "export", "customer:42", "--proof", *more, *WHY).code == 2
    ran = export(life, "customer:nobody")
    assert (ran.code, ran.out) == (4, "")
    there = life.folder / "auditor.zip"
    ran = life("customer", "export", "customer:42", "--proof", "--out", str(there), *WHY)
    assert (ran.code, "--yes" in ran.err) == (2, True)
