"""`touchstone audit`: has anyone touched the log? Seals, proofs, and their verification."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import exits
from cli.exits import NotFound
from cli.kafka_options import optional_kafka_options
from cli.output import Record, Unwrapped, clean
from cli.session import Session, pass_session, workers_default
from cli.stopping import stopping
from cli.writing import in_place_of, regular_file
from consumers.connection import Connection
from ledger.intake import StopRequested
from ledger.seals.checking import Checked, check_document
from ledger.seals.heads import (
    SealedHead,
    Unusable,
    head_from,
    key_from,
    key_id_of,
    pem_of,
    signing_key,
)
from ledger.seals.kept import last_seal
from ledger.seals.proving import Unsealed, prove, prove_consistency
from ledger.seals.sealing import seal
from ledger.seals.verifying import Verified, Witness, verify_log

DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
"""Of a proof: a touchpoint, in Base64, and little else."""
EXAMPLES = """\b
Examples:
  touchstone audit seal --out head.json
  touchstone audit verify --head head.json
  touchstone audit prove 4711 --source shop --out proof.json
  touchstone audit check proof.json --head head.json --key ledger.pem
"""
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
_out_option = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write it into this file as well.",
)  # fmt: skip
_key_option = click.option(
    "--key", "key_file", type=_FILE, metavar="FILE",
    help="The public key (PEM) that has to have signed, as `audit key` wrote it.",
)  # fmt: skip


@click.group(epilog=EXAMPLES)
def command() -> None:
    """The integrity of the log: seals that cover it, and proofs that need no ledger."""


@command.command("seal")
@_out_option
@click.option(
    "--topic", metavar="TOPIC", help="Publish it on this topic of Kafka too; made if missing."
)
@optional_kafka_options
@pass_session
def seal_command(
    session: Session, /, out: Path | None, topic: str | None, connection: Connection | None
) -> int:
    """Sign the log as it is now, and print the signed head.

    Keep a copy of heads where whoever holds the database and its keys cannot reach them: they
    show whether the log was cut off or made anew. A head names nobody.
    """
    if topic and connection is None:
        raise click.UsageError("--topic needs --bootstrap-servers")
    with session.ledger() as ledger, stopping() as stop, session.progress() as report:
        try:
            head = seal(ledger, report, stop)
        except StopRequested:
            session.complain("interrupted: nothing was sealed; the next seal goes on from here")
            return exits.SIGNAL_BASE + (stop.signal or 0)
    document = head.document()
    _write(out, document)
    session.printer.record(document, lambda: _page("SEALED", document))
    if topic and connection:
        from consumers.heads import publish_head

        publish_head(connection, topic, head.ledger_id, json.dumps(document).encode())
    return exits.DONE


@command.command("key")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write it into this file instead.",
)  # fmt: skip
@pass_session
def key_command(session: Session, /, out: Path | None) -> int:
    """Print the public key with which heads and proofs are checked, as PEM.

    Give it to those who check, on a way that they trust.
    """
    with session.ledger() as ledger:
        key = signing_key(ledger.keys.signing).public_key()
    pem = pem_of(key)
    if out is not None:
        _write_bytes(out, pem.encode())
    record = {"key_id": key_id_of(key), "public_key": pem}
    if session.form in ("json", "ndjson", "csv"):
        session.printer.record(record, list)
    elif out is None:
        sys.stdout.write(pem)
    else:
        session.note(f"the public key {record['key_id']} is in {out}")
    return exits.DONE


@command.command("verify")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N",
    help="Processes that read.  [default: as many as processors]",
)  # fmt: skip
@click.option(
    "--head", "heads", type=_FILE, multiple=True, metavar="FILE",
    help="A head that was kept elsewhere (may be repeated).",
)  # fmt: skip
@_key_option
@pass_session
def verify_command(
    session: Session, /, workers: int | None, heads: tuple[Path, ...], key_file: Path | None
) -> int:
    """Read the whole log again, and name the first position that is not as it was sealed.

    Every row is held against its leaf hash, the tree of these against every head. What stands
    behind the last seal is reported as unsealed. Exit code 5 if anything is wrong.
    """
    given = [Witness(head_from(_document(path)), str(path)) for path in heads]
    key = _key(key_file)
    with session.ledger() as ledger, stopping() as stop, session.progress() as report:
        try:
            found = verify_log(
                ledger, given, key=key, workers=workers or workers_default(), report=report,
                stop=stop,
            )  # fmt: skip
        except StopRequested:
            session.complain("interrupted: the verification did not come to an end")
            return exits.SIGNAL_BASE + (stop.signal or 0)
    record = _verified_record(found)
    session.printer.record(record, lambda: _verified_page(found))
    return exits.DONE if found.ok else exits.VERIFICATION_FAILED


@command.command("prove")
@click.argument("id_", metavar="ID")
@click.option("--source", metavar="SOURCE", help="Who reported it, where several have used the id.")
@_out_option
@pass_session
def prove_command(session: Session, /, id_: str, source: str | None, out: Path | None) -> int:
    """Prove that a touchpoint is in the sealed log: a file that anybody can check.

    It holds the touchpoint as it is stored, personal fields encrypted, the path to the newest
    head, that head and the public key.
    """
    with session.ledger() as ledger:
        found = ledger.log.identified(id_, source)
        if not found:
            raise NotFound(f"no touchpoint has the id {id_}" + (f" of {source}" if source else ""))
        if len(found) > 1:
            raise click.UsageError(f"several sources have used the id {id_}: name one by --source")
        (proof,) = prove(ledger, [found[0].position])
    _write(out, proof)
    session.printer.record(proof, lambda: _proof_page(proof))
    return exits.DONE


@command.command("consistency")
@click.option("--from", "older", type=_FILE, required=True, metavar="FILE", help="The older head.")
@click.option(
    "--to", "newer", type=_FILE, metavar="FILE", help="The newer head.  [default: the last seal]"
)
@_out_option
@pass_session
def consistency_command(
    session: Session, /, older: Path, newer: Path | None, out: Path | None
) -> int:
    """Prove that the log of a head goes on from the log of an older one, unchanged."""
    old = head_from(_document(older))
    with session.ledger() as ledger:
        new = head_from(_document(newer)) if newer else _newest(ledger)
        proof = prove_consistency(ledger, old, new)
    _write(out, proof)
    session.printer.record(proof, lambda: _proof_page(proof))
    return exits.DONE


@command.command("check")
@click.argument("file", type=_FILE)
@click.option(
    "--head", "head_file", type=_FILE, metavar="FILE",
    help="A head that was kept elsewhere: the proof has to speak of it.",
)  # fmt: skip
@_key_option
@pass_session
def check_command(
    session: Session, /, file: Path, head_file: Path | None, key_file: Path | None
) -> int:
    """Check a proof, the consistency of two heads, or a head. No ledger is needed.

    Without --key and --head the document shows only that it fits together: whoever made it may
    have made the key as well. Exit code 5 if it proves nothing.
    """
    head = head_from(_document(head_file)) if head_file else None
    checked = check_document(_document(file), key=_key(key_file), head=head)
    record = _checked_record(checked)
    session.printer.record(record, lambda: _page("GOOD" if checked.ok else "BAD", record))
    if checked.ok and not checked.trusted:
        session.note("note: the public key is the document's own; name one you trust with --key")
    return exits.DONE if checked.ok else exits.VERIFICATION_FAILED


def _newest(ledger: Any) -> SealedHead:
    with ledger.store.cursor() as cursor:
        kept = last_seal(cursor)
    if kept is None:
        raise Unsealed("nothing is sealed yet: `touchstone audit seal` does it")
    return kept.head


def _document(path: Path) -> Any:
    """A file as JSON; one that cannot be read as such is nothing that could be checked."""
    if path.stat().st_size > DOCUMENT_BYTES_MAX:
        raise Unusable(f"{path} is larger than any head or proof")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise Unusable(f"{path} is not JSON, and so neither a head nor a proof") from None


def _key(path: Path | None) -> Ed25519PublicKey | None:
    return key_from(path.read_bytes()) if path else None


def _write(out: Path | None, document: Record) -> None:
    if out is not None:
        _write_bytes(out, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")


def _write_bytes(out: Path, content: bytes) -> None:
    with in_place_of(regular_file(out)) as (stream, keep):
        stream.write(content)
        keep()


def _verified_record(found: Verified) -> Record:
    return {
        "touchpoints": found.touchpoints,
        "ok": found.ok,
        "first_bad": found.first_bad,
        "sealed": found.sealed,
        "unsealed": found.unsealed,
        "heads": found.heads,
        "reason": found.reason,
    }


def _verified_page(found: Verified) -> Iterator[RenderableType]:
    if found.ok:
        told = f"{found.sealed:,} touchpoints are as they were sealed"
        yield Text(told if found.sealed else "nothing is sealed yet", style="bold")
    else:
        where = "a head" if found.first_bad is None else f"position {found.first_bad:,}"
        yield Text(f"BAD: {where}", style="bold red")
        yield Unwrapped(clean(found.reason))
    yield Text(f"sealed {found.sealed:,}, unsealed {found.unsealed:,}, heads {found.heads:,}")


def _proof_page(proof: Record) -> Iterator[RenderableType]:
    """What people see of a proof; the whole of it is for a file."""
    head = proof.get("head") or proof["to"]
    about = {"sealed": head["size"], "root": head["root"], "time": head["time"]}
    if "leaf" in proof:
        leaf = proof["leaf"]
        about = {name: leaf[name] for name in ("position", "topic", "source", "id")} | about
    else:
        about = {"from": proof["from"]["size"]} | about
    yield from _page("PROOF", about)


def _checked_record(checked: Checked) -> Record:
    leaf, newest = checked.leaf, checked.heads[-1] if checked.heads else None
    record: Record = {
        "kind": checked.kind,
        "ok": checked.ok,
        "reason": checked.reason,
        "trusted": checked.trusted,
    }
    if newest is not None:
        record |= {"ledger_id": newest.ledger_id, "sizes": [h.size for h in checked.heads]}
        record |= {"time": newest.time, "key_id": newest.key_id}
    if leaf is not None:
        record |= {
            "position": leaf.position, "type": leaf.topic, "source": leaf.source, "id": leaf.id,
        }  # fmt: skip
    return record


def _page(title: str, record: Record) -> Iterator[RenderableType]:
    yield Text(title, style="bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in record.items():
        shown = ", ".join(map(clean, value)) if isinstance(value, list) else clean(value)
        if shown:
            grid.add_row(name.replace("_", " "), Text(shown))
    yield grid
