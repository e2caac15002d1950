"""What a person is told of the ledger in plain words: names, who is one with whom, looks."""

from collections.abc import Iterable

from ledger.personal import ERASED
from schemas.identity import CustomerDescribed, CustomerLinked, CustomerMerged, CustomerUnmerged
from schemas.subject import is_token
from schemas.wording import trailing

KINDS = {
    "customer": "customer",
    "email": "the email address",
    "phone": "the phone number",
    "anonymous": "the visitor without a name",
    "account": "account",
    "device": "the device",
}
POINTS = {
    "active": "can be spent",
    "pending": "cannot be spent yet",
    "spent": "spent",
    "expired": "expired",
    "negative": "owed, and taken from what is earned next",
    "earned": "earned in all",
}
CONSENTS = {"granted": "yes", "withdrawn": "no"}
FIELDS = {"subject": "the address or number itself", "extensions": "further details"}
_JOINED = {
    CustomerLinked.TYPE: "{source} reported that {one} and {other} are the same person",
    CustomerMerged.TYPE: "somebody decided that {one} and {other} are the same person",
    CustomerDescribed.TYPE: "{one} and {other} gave the same email address or phone number",
    CustomerUnmerged.TYPE: "somebody decided that {one} and {other} are not the same person",
}
_MISTAKEN = "{one} was taken for the same person as somebody else, which does not hold any more"
_PARTED = "{one} was found not to be the same person as somebody else"

LEFT_OUT = {
    "internal": (
        "internal notes, and internal comments on tickets",
        "people who work for us wrote them for each other",
    ),
    "others": (
        "the name of somebody else with whom you were taken for one person, and what was said of "
        "both",
        "it is about that person too",
    ),
    "looks_taken": (
        "looks that you took at data of other people",
        "they are about those people, who are told of them",
    ),
    "operators": (
        "the name of who decided that something about you was recorded in error",
        "it is a person who works for us",
    ),
    "erased": (
        f"values that were erased; {ERASED} stands in their place",
        "the key that opened them was destroyed, so nobody can read them any more",
    ),
    "records_of_others": (
        "what stands in the records of other people and may name you, such as a recommendation",
        "it belongs to those people",
    ),
    "quarantine": (
        "what reached us broken and waits to be mended",
        "nobody can tell whom it is about before it is mended",
    ),
}
"""Why something is not in a person's own file: what it is, and the reason."""


def subject(name: str) -> str:
    """`customer 42`, `the email address ana@example.com`; erased ones without their value."""
    kind, _, value = name.partition(":")
    words = KINDS.get(kind, kind.replace("_", " "))
    return f"{words} {ERASED}" if is_token(name) else f"{words} {value}"


def joined(type_name: str, one: str, other: str, source: str, reason: str | None = None) -> str:
    """What makes two subjects one person, or parts them."""
    said = _JOINED[type_name].format(one=subject(one), other=subject(other), source=source)
    return said + trailing(": ", reason)


def mistaken(type_name: str, one: str) -> str:
    """The same, of somebody who turned out to be another person, who is not named."""
    text = _PARTED if type_name == CustomerUnmerged.TYPE else _MISTAKEN
    return text.format(one=subject(one))


def looked(reader: str, of: str, fields: Iterable[str]) -> str:
    """Who looked at what of whom."""
    return f"{reader} looked at {listed(dict.fromkeys(map(field, fields)))} of {subject(of)}"


def field(path: str) -> str:
    """A field of a touchpoint: `email`, `birth year`, `text`."""
    return FIELDS.get(path, path.removeprefix("traits.").replace("_", " ").replace(".", " "))


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; `nothing` where there are none."""
    *most, last = [*words] or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last
