"""Connectors: one TOML file for each system that sends webhooks, checked when it is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ledger.conversions import Unfit
from ledger.mapping import Mapping, mapping_in
from ledger.mapping_file import (
    MappingInvalid,
    Section,
    nearest,
    read_mapping_file,
    refuse_file_of_webhooks,
)
from ledger.mapping_values import Column, Expression, Scope, column_of, expression_of
from web.webhooks.delivery import Delivery
from web.webhooks.handshakes import Answered, Handshake, handshakes_in
from web.webhooks.payload import (
    FORMS,
    HEADERS,
    KEYED,
    QUERY,
    RESERVED,
    PayloadForm,
    digest_of,
)
from web.webhooks.proofs import Hmac
from web.webhooks.schemes import Scheme, SharedSecret, Signature
from web.webhooks.signature_table import schemes_in
from web.webhooks.sns import Sns

ID_CHARACTERS_MAX = 200
ITEM_STEPS_MAX = 8
ENDING = ".toml"


@dataclass(frozen=True, slots=True)
class DeliveryId:
    """Where the id of a delivery stands; a digest of the body where the vendor gives none."""

    header: str = ""
    query: str = ""
    column: Column | None = None
    expression: Expression | None = None

    def of(self, delivery: Delivery, document: Any, content_key: bytes) -> str | None:
        """The id; None where the delivery lacks what the connector names."""
        if self.header:
            found: Any = delivery.header(self.header)
        elif self.query:
            found = delivery.query(self.query)
        elif self.column is not None or self.expression is not None:
            found = self._in_document(document)
        else:
            found = digest_of(delivery.body, content_key)
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        return found[:ID_CHARACTERS_MAX] if isinstance(found, str) and found else None

    def _in_document(self, document: Any) -> Any:
        try:
            if self.column is not None:
                return column_of(document, self.column.name)
            assert self.expression is not None  # noqa: S101 (one of them is there)
            return self.expression.find(Scope(document, 0))
        except (Unfit, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A connector that has been checked, ready to be used on any number of deliveries."""

    name: str
    title: str
    link: str
    schemes: tuple[Scheme, ...]
    delivery_id: DeliveryId
    payload: PayloadForm
    handshakes: tuple[Handshake, ...]
    answer: Answered | None
    ignore: Expression | None
    skips: bool
    mapping: Mapping

    @property
    def types(self) -> tuple[str, ...]:
        """The types of touchpoint that it gives, in the order of the file."""
        return tuple(dict.fromkeys(table.type for table in self.mapping.tables))


def load_connector(path: Path) -> Connector:
    """Read and check a connector file. Raises MappingInvalid."""
    return connector_in(read_mapping_file(path), path.stem)


def connector_in(top: Section, name: str) -> Connector:
    """The connector that a TOML document describes. Raises MappingInvalid."""
    refuse_file_of_webhooks(top)
    title = top.required_text("title", '"Stripe", as people call the vendor')
    link = top.required_text("link", '"https://…", where the vendor describes its webhooks')
    source = top.required_text("source", '"stripe", the name of what these touchpoints come from')
    schemes = schemes_in(top)
    payload = _payload(top, schemes)
    ignore = top.text("ignore")
    skips = top.choice("otherwise", ("quarantine", "skip"), "quarantine") == "skip"
    connector = Connector(
        name=name,
        title=title,
        link=link,
        schemes=schemes,
        delivery_id=_delivery_id(top),
        payload=payload,
        handshakes=handshakes_in(top),
        answer=_answer(top),
        ignore=expression_of(top, "ignore", ignore) if ignore else None,
        skips=skips,
        mapping=mapping_in(_mapping_part(top, source)),
    )
    top.finish()
    _check_declared(top, connector.mapping, payload)
    visits = any(handshake.visit is not None for handshake in connector.handshakes)
    if visits and not any(isinstance(scheme, Sns) for scheme in schemes):
        top.refuse("visit is for the scheme sns alone, whose addresses are known", "handshake")
    if any(handshake.signs_for_anybody for handshake in connector.handshakes):
        _check_apart(top, connector)
    return connector


def _check_apart(top: Section, connector: Connector) -> None:
    """Refuse a handshake by which anybody would get the signature of a delivery of his own.

    A challenge that is answered with the secret is one word, which no object of JSON is.
    """
    for scheme in connector.schemes:
        if not isinstance(scheme, Signature) or not isinstance(scheme.proof, Hmac):
            continue
        is_json = "body" in scheme.signed.names and connector.payload.form == "json"
        if not is_json and not scheme.signed.is_never_one_word:
            top.refuse(
                "whoever asks by GET would be told the signature of a delivery: what is signed "
                "needs a {body} of JSON, {url} or a character such as a full stop",
                "handshake",
            )


def _answer(top: Section) -> Answered | None:
    """What is answered in place of a receipt, to a vendor that takes the answer for orders."""
    section = top.table("answer")
    if section is None:
        return None
    media_type = section.required_text("content_type", '"text/xml"')
    body = section.text("body", "") or ""
    section.finish()
    return Answered(body.encode(), media_type)


def _mapping_part(top: Section, source: str) -> Section:
    """What the engine of imports reads of the file. That nothing takes a row is judged here."""
    part = {"source": source, "otherwise": "skip"}
    written = {key: _without_reserved(top.take(key)) for key in ("time", "touchpoint")}
    return Section(part | {k: v for k, v in written.items() if v is not None}, top.file)


def _without_reserved(written: Any) -> Any:
    """The tables as written, where a `rest` of the row leaves out what is beside the payload:
    the time of receipt is another one when a vendor sends the same again."""
    if isinstance(written, list):
        return [_without_reserved(one) for one in written]
    if not isinstance(written, dict):
        return written
    made = {name: _without_reserved(value) for name, value in written.items()}
    if made.get("rest") == "" and isinstance(made.get("without", []), list):
        made["without"] = [*made.get("without", []), *RESERVED]
    return made


def _payload(top: Section, schemes: tuple[Scheme, ...]) -> PayloadForm:
    section = top.table("payload") or Section({}, top.file)
    hidden = tuple(
        scheme.place.name
        for scheme in schemes
        if isinstance(scheme, SharedSecret) and scheme.place.kind == "column"
    )
    made = PayloadForm(
        form=section.choice("form", FORMS, "json"),
        embedded=section.texts("embedded"),
        pseudo=section.texts("pseudo"),
        uppercase=section.texts("uppercase"),
        keyed=section.texts("keyed"),
        items=_items(section),
        headers=tuple(name.lower() for name in section.texts("headers")),
        query=section.texts("query"),
        volatile=section.texts("volatile"),
        hidden=hidden,
    )
    section.finish()
    return made


def _items(section: Section) -> tuple[Expression, ...]:
    written = section.take("items")
    steps = [written] if isinstance(written, str) else written or []
    if not isinstance(steps, list) or len(steps) > ITEM_STEPS_MAX:
        section.refuse(f"expected a JMESPath expression, or up to {ITEM_STEPS_MAX}", "items")
    if not all(isinstance(step, str) and step for step in steps):
        section.refuse('expected expressions, such as ["entry", "changes"]', "items")
    return tuple(expression_of(section, "items", step) for step in steps)


def _delivery_id(top: Section) -> DeliveryId:
    section = top.table("delivery")
    if section is None:
        return DeliveryId()
    named = [key for key in ("header", "query", "column", "jmespath") if section.has(key)]
    if len(named) != 1:
        section.refuse("expected one of header, query, column, jmespath: where the id stands")
    written = section.required_text(named[0], '"webhook-id"')
    section.finish()
    match named[0]:
        case "header":
            return DeliveryId(header=written)
        case "query":
            return DeliveryId(query=written)
        case "column":
            return DeliveryId(column=Column(written))
        case _:
            return DeliveryId(expression=expression_of(section, "jmespath", written))


def _check_declared(top: Section, mapping: Mapping, payload: PayloadForm) -> None:
    """Refuse a mapping that reads headers, parameters or digests which no row is given."""
    declared = {HEADERS: payload.headers, QUERY: payload.query, KEYED: payload.keyed}
    keys = {HEADERS: "headers", QUERY: "query", KEYED: "keyed"}
    for table in mapping.tables:
        for path, column in table.columns():
            kind, _, name = column.partition(".")
            if name and kind in declared and name not in declared[kind]:
                where = ", ".join(part for part in (table.label, path) if part)
                raise MappingInvalid(
                    top.file,
                    where,
                    f'"{name}" is not in {keys[kind]} of [payload]'
                    f"{nearest(name, declared[kind]) if declared[kind] else ''}"
                    f"{' (names of headers are written in lower case here)' * (kind == HEADERS)}",
                )


def shipped() -> Iterator[str]:
    """The names of the connectors that come with Touchstone, in order."""
    names = (entry.name for entry in _folder().iterdir())
    yield from sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING))


def shipped_path(name: str) -> Path | None:
    """The file of a connector that comes with Touchstone; None where there is no such one."""
    return _folder() / f"{name}{ENDING}" if name in shipped() else None


def path_meant(written: str) -> Path:
    """The file of a path, or of the name of a connector that comes with Touchstone.

    Raises MappingInvalid for what can only be such a name, and is none.
    """
    path = Path(written)
    if path.name != written or path.suffix or path.exists():
        return path
    found = shipped_path(written)
    if found is None:
        raise MappingInvalid("", "", f"{unknown(written)}, or give the path of a file")
    return found


def unknown(name: str) -> str:
    """That there is no such connector, with those that there are."""
    return f"there is no connector {name}{nearest(name, shipped())}"


def _folder() -> Path:
    return Path(str(files("web.webhooks"))) / "connectors"
