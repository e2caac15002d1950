"""A person's own file as one page that he can read and print: HTML without scripts or links.

No text of the ledger becomes an element or an attribute: every value goes through `finalize` and
is escaped, and the template has none inside a tag.
"""

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from functools import cache
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from cli import plain_words
from cli.moments import shown_clock, shown_date, shown_day, shown_iso
from cli.output import Record, clean
from cli.portrait import shown_money
from projections.windows.timeline import OPTIONAL_ATTRIBUTES
from schemas.identity import TRAIT_NAMES
from schemas.subject import is_token

TEMPLATE = "dossier.html"
MONEY = {"amount", "currency"}


def page(content: Record, zone: tzinfo) -> str:
    """The file of a person (see `cli.dossier`) as HTML, with times on the clocks of the zone."""
    return template(TEMPLATE).render(
        exported=f"{shown_iso(content['exported_at'], zone)} ({zone})",
        ledger=content["ledger"],
        reader=content["exported_by"],
        purpose=content["purpose"],
        subjects=[plain_words.subject(subject) for subject in content["subjects"]],
        identities=[(shown_date(i["time"], zone), i["in_words"]) for i in content["identities"]],
        traits=_traits(content["profile"], zone),
        days=list(days(content["timeline"], zone)),
        orders=[_order(order, zone) for order in content["orders"]],
        tickets=[_ticket(ticket, zone) for ticket in content["tickets"]],
        programmes=[_programme(name, of, zone) for name, of in content["loyalty"].items()],
        consents=[_consent(consent, zone) for consent in content["consents"]],
        looks=[(shown_iso(k["time"], zone), k["in_words"], k["purpose"]) for k in content["looks"]],
        left_out=[(_counted(entry["count"]), entry) for entry in content["left_out"]],
    )


@cache
def template(name: str) -> Template:
    """A page of `cli/templates`: what is put into it is escaped, and steers nothing."""
    environment = Environment(
        loader=PackageLoader("cli", "templates"),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def visible(value: Any) -> str:
    """A value as a page may show it: line by line, without what steers the direction of text."""
    return "\n".join(clean(line) for line in str(value).splitlines())


def _traits(profile: Record | None, zone: tzinfo) -> list[tuple[str, str, str]]:
    traits = profile["traits"] if profile else {}
    return [
        (
            plain_words.field(name),
            "\n".join(filter(None, (_pair(row) for row in _rows(traits[name]["value"])))),
            f"{traits[name]['source']}, {shown_date(traits[name]['time'], zone)}",
        )
        for name in TRAIT_NAMES
        if name in traits
    ]


def _pair(row: tuple[str, str]) -> str:
    name, value = row
    return f"{name}: {value}" if name else value


def days(records: Iterable[Record], zone: tzinfo) -> Iterator[tuple[str, list[Record]]]:
    """Each day with what happened on it."""
    for day, told in groupby(records, key=lambda record: shown_day(record["time"], zone)):
        yield day, [_happened(record, zone) for record in told]


def _happened(record: Record, zone: tzinfo) -> Record:
    further = {name: record[name] for name in OPTIONAL_ATTRIBUTES if name in record}
    return {
        "clock": shown_clock(record["time"], zone),
        "channel": record["channel"] or record["type"].partition(".")[0].replace("_", " "),
        "what": record["summary"],
        "voided": record["voided"],
        "rows": [*_rows(record["data"]), *_rows(further)],
        "origin": f"{record['source']} {record['id']}",
        "position": record["position"],
        "void": record.get("voided_by"),
    }


def _rows(value: Any, label: str = "") -> Iterator[tuple[str, str]]:
    """What is nested as rows of two cells: the way to a value in words, and the value."""
    if isinstance(value, dict) and value.keys() != MONEY:
        for name, inner in value.items():
            yield from _rows(inner, f"{label} {str(name).replace('_', ' ')}".strip())
    elif isinstance(value, dict):
        yield label, f"{value['amount']} {value['currency']}"
    elif isinstance(value, list):
        for place, inner in enumerate(value, 1):
            yield from _rows(inner, f"{label} {place}".strip())
    elif isinstance(value, bool):
        yield label, "yes" if value else "no"
    elif value is not None:
        text = str(value)
        yield label, plain_words.subject(text) if is_token(text) else text


def _order(order: Record, zone: tzinfo) -> tuple[str, ...]:
    total, refunded, net = (shown_money(order[name]) for name in ("total", "refunded", "net"))
    return order["order"], shown_date(order["time"], zone), total, refunded, net, order["status"]


def _ticket(ticket: Record, zone: tzinfo) -> tuple[str, ...]:
    return (
        ticket["ticket"],
        ticket["title"]["value"] if ticket["title"] else "",
        shown_iso(ticket["opened_at"], zone),
        ticket["status"].replace("_", " "),
        shown_iso(ticket["last_resolved_at"], zone),
    )


def _programme(name: str, account: Record, zone: tzinfo) -> Record:
    balance = account["balance"]
    return {
        "name": name,
        "balance": [(said, f"{balance[word]:,}") for word, said in plain_words.POINTS.items()],
        "expiring": [
            f"{due['points']:,} on {shown_date(due['time'], zone)}" for due in balance["expiring"]
        ],
        "movements": [
            (
                shown_date(movement["time"], zone),
                movement["kind"],
                movement["text"],
                f"{movement['points']:+,}",
                f"{movement['balance']:,}",
            )
            for movement in account["statement"]
        ],
    }


def _consent(consent: Record, zone: tzinfo) -> tuple[str, ...]:
    until = shown_iso(consent["until"], zone) or "now"
    since = shown_iso(consent["from"], zone)
    said = plain_words.CONSENTS[consent["state"]]
    return consent["purpose"], consent["channel"], said, since, until


def _counted(count: int | None) -> str:
    return "not counted" if count is None else f"{count:,}"
