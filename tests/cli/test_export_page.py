"""The page of `customer export`: whatever stands in the ledger, it is text there and no more."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.cli.facts import described, event, order, programme, record, refund
from tests.cli.running import Shell

TEMPLATE = Path(__file__).parents[2] / "cli" / "templates" / "dossier.html"
PLANTED = (
    "<script>alert(1)</script><b>x</b>",
    '"onmouseover="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "</style></table></html><!--",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u202c\u2066\u200f",
)
STEERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


class Elements(HTMLParser):
    """Every element with its attributes, and every text, as a browser finds them on a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.started: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.texts: list[str] = []
        self.remarks: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.started.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.remarks.append(data)


def _texts(place: int) -> Iterator[str]:
    """Planted texts, one after the other, none of them the same twice."""
    while True:
        yield f"{PLANTED[place % len(PLANTED)]} {place}"
        place += 1


def _planted(text: Iterator[str]) -> list[dict[str, Any]]:
    """A life in which all that can be a text is one of those: ids, sources, names of fields."""
    me, you = "customer:" + next(text), "anonymous:" + next(text)
    ticket_id, order_id = next(text), next(text)
    many = {"subject": me, "source": next(text), "id": next(text)}
    spent = {"amount": "100.00", "currency": "EUR"}
    line = {"product_id": next(text), "quantity": 1, "price": spent, "category": next(text)}
    traits = {
        "name": next(text), "company": next(text), "language": next(text), "country": next(text),
        "segment": next(text), "custom": {next(text): next(text)},
    }  # fmt: skip
    bought = {"order_id": order_id, "total": spent, "lines": [line], "coupon": next(text)}
    note_data = {"note_id": "n", "text": next(text), "agent": next(text), "internal": False}
    page_data = {"url": next(text), "title": next(text), "referrer": next(text)}
    tracked = {"name": next(text), "properties": {next(text): [next(text), {"amount": 1}]}}
    said = {"ticket_id": ticket_id, "author": "agent", "public": True, "text": next(text)}
    why = {"other": you, "reason": next(text)}
    types: dict[str, dict[str, Any]] = {
        "customer.described.v1": {"traits": traits, "extra": {next(text): next(text)}},
        "order.completed.v1": bought,
        "ticket.opened.v1": {"ticket_id": ticket_id, "title": next(text), "team": next(text)},
        "ticket.commented.v1": said,
        "note.added.v1": note_data,
        "page.viewed.v1": page_data,
        "event.tracked.v1": tracked,
        "customer.merged.v1": why,
        "points.adjusted.v1": {
            "programme": "main", "adjustment_id": next(text), "points": 5, "reason": next(text),
        },
        "consent.granted.v1": {
            "channel": "sms", "purpose": "marketing", "evidence": next(text),
            "legal_basis": next(text),
        },
    }  # fmt: skip
    return [
        programme(),
        *(
            event(name, data, f"2026-01-{day:02d}T10:00:00Z", **many | {"id": next(text)})
            for day, (name, data) in enumerate(types.items(), 2)
        ),
        event("chat.started.v1", {"conversation_id": next(text), "page": next(text)}, subject=you),
    ]


def _page(shell: Shell, subject: str, purpose: str, *options: str) -> str:
    page = shell.folder / "page.html"
    ran = shell("customer", "export", subject, "--reveal", purpose, "--page", str(page), *options)
    assert ran.code == 0, ran.err
    return page.read_text("utf-8")


def test_no_text_of_the_ledger_becomes_an_element_or_an_attribute_of_the_page(
    file_shell: Shell,
) -> None:
    shell = file_shell
    facts = _planted(_texts(0))
    record(shell, *facts)
    shell("customer", "show", facts[1]["subject"], "--reveal", "a <b>look</b>")
    page = Elements(_page(shell, facts[1]["subject"], 'an "onclick=" <i>request</i>'))
    template = Elements(TEMPLATE.read_text("utf-8"))
    assert not any("{" in tag for tag in map(str, template.started))
    assert set(page.started) <= set(template.started)
    assert not page.remarks
    shown = "".join(page.texts)
    assert not set(STEERING) & set(shown)
    for planted in PLANTED[:-1]:
        assert shown.count(planted) > 3, planted
    assert "�gnp.exe�" in shown


def test_the_page_takes_nothing_from_elsewhere_and_says_so(file_shell: Shell) -> None:
    record(
        file_shell,
        described(name="Ana Rossi", email="ana@example.com"),
        order("A1", "100.00", "2026-01-05T10:00:00Z"),
        refund("A1", "30.00", "2026-01-06T10:00:00Z"),
    )
    page = _page(file_shell, "customer:42", "a request")
    elements = Elements(page).started
    assert ("meta", (("charset", "utf-8"),)) in elements
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert ("meta", (("http-equiv", "Content-Security-Policy"), ("content", policy))) in elements
    named = {value for _, attrs in elements for name, value in attrs if name in ("href", "src")}
    assert named
    assert all(value and value.startswith("#") for value in named)
    assert not {"script", "link", "img", "iframe", "form"} & {tag for tag, _ in elements}
    assert not [start for start in ("url(", "@import", "http:", "https:") if start in page]
    for said in ("Ana Rossi", "ana@example.com", "Monday, 5 January 2026", "partly refunded"):
        assert said in page


def test_the_page_keeps_to_the_clocks_that_were_asked_for(file_shell: Shell) -> None:
    record(file_shell, order("A1", "100.00", "2026-01-05T10:00:00Z"))
    page = _page(file_shell, "customer:42", "a request", "--tz", "Asia/Tokyo")
    assert '<span class="clock">19:00</span>' in page
    assert "(Asia/Tokyo)" in page
