"""The text that a vendor signs: a template of the parts of a request, as bytes."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from web.webhooks.delivery import Delivery

PARTS = ("body", "timestamp", "url", "method", "form", "secret")
"""What a template can name in braces, besides `header.NAME`."""
FORM_FIELDS_MAX = 2_000
"""How many fields a form may have."""

_HEADER = "header."
_WORD = re.compile(r"[A-Za-z0-9_-]*")
_HOLE = re.compile(r"\{([^{}]*)\}")


class PartMissing(ValueError):
    """The request lacks something that the signed text is made of."""


@dataclass(frozen=True, slots=True)
class SignedText:
    """A template such as `{timestamp}.{body}`: texts, and every other one the name of a part."""

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parts of the request that it is made of."""
        return self.parts[1::2]

    @property
    def is_never_one_word(self) -> bool:
        """Whether it has other characters than letters, digits, - and _, whatever the request."""
        return "url" in self.names or not _WORD.fullmatch("".join(self.parts[::2]))

    def of(self, delivery: Delivery, timestamp: str, secret: bytes = b"") -> bytes:
        """The bytes that were signed. Raises PartMissing."""
        made = []
        for place, part in enumerate(self.parts):
            if place % 2 == 0:
                made.append(part.encode())
            elif part == "secret":
                made.append(secret)
            else:
                made.append(_part(part, delivery, timestamp))
        return b"".join(made)


def signed_text(written: str) -> SignedText:
    """Read a template. Raises ValueError for a part that there is not."""
    pieces = _HOLE.split(written)
    for name in pieces[1::2]:
        if name not in PARTS and not (name.startswith(_HEADER) and len(name) > len(_HEADER)):
            known = ", ".join(f"{{{part}}}" for part in PARTS)
            raise ValueError(f"{{{name}}} is no part of a request; there are {known}, {{header.…}}")
    return SignedText(tuple(pieces))


def _part(name: str, delivery: Delivery, timestamp: str) -> bytes:
    match name:
        case "body":
            return delivery.body
        case "timestamp":
            return timestamp.encode()
        case "url":
            return delivery.url.encode()
        case "method":
            return delivery.method.encode()
        case "form":
            return _form(delivery.body)
        case _:
            found = delivery.header(name.removeprefix(_HEADER))
            if found is None:
                raise PartMissing(name)
            return found.encode()


def _form(body: bytes) -> bytes:
    """The fields of a form, sorted by name, each name followed by its value, nothing between."""
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError:
        raise PartMissing("form") from None
    return "".join(name + value for name, value in sorted(set(fields))).encode()
