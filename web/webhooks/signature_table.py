"""The [signature] tables of a connector file, read into schemes."""

from typing import Any

from ledger.mapping_file import MappingInvalid, Section
from web.webhooks.proofs import ALGORITHMS, ENCODINGS, Ecdsa, Ed25519, Hash, Hmac, Proof
from web.webhooks.schemes import (
    TOLERANCE_SECONDS,
    BasicAuth,
    Only,
    Place,
    Scheme,
    SharedSecret,
    Signature,
    Timestamp,
)
from web.webhooks.signed_text import SignedText, signed_text
from web.webhooks.sns import SNS_TOLERANCE_SECONDS, Sns

SCHEMES = ("hmac", "hash", "ecdsa", "ed25519", "basic", "secret", "sns")
UNITS = ("seconds", "milliseconds", "iso")
ALTERNATIVES_MAX = 10


def schemes_in(top: Section) -> tuple[Scheme, ...]:
    """The schemes of a connector, in the order in which they are tried. Raises MappingInvalid."""
    written = top.take("signature")
    tables: list[Any] = written if isinstance(written, list) else [written]
    if not 1 <= len(tables) <= ALTERNATIVES_MAX or not all(isinstance(t, dict) for t in tables):
        top.refuse(
            'is missing; write a table [signature] with its scheme = "…", so that only the '
            "vendor can send",
            "signature",
        )
    several = len(tables) > 1
    found = tuple(
        _scheme(Section(table, top.file, label=f"signature {n}" if several else "signature"))
        for n, table in enumerate(tables, start=1)
    )
    names = [scheme.name for scheme in found]
    if several and (len(set(names)) < len(names) or "" in names):
        raise MappingInvalid(top.file, "signature", "several of them each need a name of their own")
    return found


def _scheme(section: Section) -> Scheme:
    kind = section.choice("scheme", SCHEMES, "")
    name = section.text("name", "") or ""
    made: Scheme
    match kind:
        case "basic":
            made = BasicAuth(name=name)
        case "secret":
            made = _shared_secret(section, name)
        case "sns":
            made = Sns(name=name, tolerance_seconds=_tolerance(section, SNS_TOLERANCE_SECONDS))
        case _:
            made = _signature(section, kind, name)
    section.finish()
    return made


def _shared_secret(section: Section, name: str) -> SharedSecret:
    place = _place(section, ("header", "query", "column"))
    return SharedSecret(name=name, said=f"secret in {place.kind} {place.name}", place=place)


def _signature(section: Section, kind: str, name: str) -> Signature:
    proof, algorithm = _proof(section, kind)
    place = _place(section, ("header", "query"), elements=True)
    signed = _signed(section, kind)
    timestamp = _timestamp(section, place)
    if (timestamp is not None) != ("timestamp" in signed.names):
        section.refuse("a timestamp has to be signed, and {timestamp} needs one", "timestamp")
    body_hash = _body_hash(section)
    if body_hash is None and not {"body", "form"}.intersection(signed.names):
        section.refuse("does not cover the body; it needs {body}, {form} or a body_hash", "signed")
    return Signature(
        name=name,
        said=f"{kind}{f'-{algorithm}' if algorithm else ''} in {place.name}",
        only=_only(section),
        place=place,
        signed=signed,
        timestamp=timestamp,
        body_hash=body_hash,
        key_prefix=section.text("key_prefix", "") or "",
        proof=proof,
    )


def _proof(section: Section, kind: str) -> tuple[Proof, str]:
    encoding = section.choice("encoding", ENCODINGS, "base64" if kind[0] == "e" else "hex")
    if kind == "ecdsa":
        return Ecdsa(encoding=encoding), ""
    if kind == "ed25519":
        return Ed25519(encoding=encoding), ""
    algorithm = section.choice("algorithm", ALGORITHMS, "sha256")
    if kind == "hash":
        return Hash(algorithm=algorithm, encoding=encoding), algorithm
    key = section.choice("key", ("text", "base64"), "text")
    return Hmac(algorithm=algorithm, encoding=encoding, key=key), algorithm


def _place(section: Section, kinds: tuple[str, ...], *, elements: bool = False) -> Place:
    named = [kind for kind in kinds if section.has(kind)]
    if len(named) != 1:
        section.refuse(f"expected one of {', '.join(kinds)}: where it stands in the request")
    (kind,) = named
    name = section.required_text(kind, '"X-Signature"')
    prefix = section.text("prefix", "") or "" if kind != "column" else ""
    if not elements or not section.has("element"):
        return Place(kind, name, prefix)
    return Place(
        kind,
        name,
        element=section.required_text("element", '"v1"'),
        between=section.text("between", ",") or ",",
        joint=section.text("joint", "=") or "=",
    )


def _signed(section: Section, kind: str) -> SignedText:
    written = section.text("signed", "{body}") or ""
    try:
        made = signed_text(written)
    except ValueError as error:
        section.refuse(str(error), "signed")
    if (kind == "hash") != ("secret" in made.names):
        section.refuse(
            "{secret} belongs into the text of the scheme hash, and only there", "signed"
        )
    return made


def _timestamp(section: Section, signature: Place) -> Timestamp | None:
    tolerance = _tolerance(section, TOLERANCE_SECONDS)
    inner = section.table("timestamp")
    if inner is None:
        return None
    unit = inner.choice("unit", UNITS, "seconds")
    if inner.has("header") or inner.has("query"):
        place = _place(inner, ("header", "query"), elements=True)
    else:
        element = inner.required_text("element", '"t", or header = "…"')
        place = Place(
            signature.kind,
            signature.name,
            element=element,
            between=signature.between,
            joint=signature.joint,
        )
    inner.finish()
    return Timestamp(place, unit, tolerance)


def _tolerance(section: Section, default: int) -> int:
    found = section.count("tolerance_seconds", default)
    if not 1 <= found <= 86_400:
        section.refuse("expected 1 to 86400 seconds", "tolerance_seconds")
    return found


def _only(section: Section) -> Only | None:
    inner = section.table("only")
    if inner is None:
        return None
    place = _place(inner, ("header", "query"))
    value = inner.text("is")
    inner.finish()
    return Only(place.kind, place.name, value)


def _body_hash(section: Section) -> Place | None:
    inner = section.table("body_hash")
    if inner is None:
        return None
    place = _place(inner, ("header", "query"))
    inner.finish()
    return place
