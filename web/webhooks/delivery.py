"""One delivery of a webhook: the parts of the request that signatures and mappings look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

QUERY_FIELDS_MAX = 200
"""How many parameters a query may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A request as it came in.

    `url` is the address that the vendor called, as the vendor knows it (scheme, host, path and
    query), `headers` have their names in lower case, `body` is raw, and `at` is the moment of
    receipt in microseconds since 1970-01-01T00:00:00Z.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: int

    def header(self, name: str) -> str | None:
        """A header by its name in any case; None where it is missing or empty."""
        return self.headers.get(name.lower()) or None

    def query(self, name: str) -> str | None:
        """The first parameter of this name; None where it is missing or empty."""
        return dict(reversed(self.queries())).get(name) or None

    def queries(self) -> list[tuple[str, str]]:
        """All parameters of the query, in order. None are read where there are too many."""
        try:
            return parse_qsl(
                urlsplit(self.url).query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX
            )
        except ValueError:
            return []

    @property
    def content_type(self) -> str:
        """What the body says it is, without parameters, in lower case."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def is_form(self) -> bool:
        """Whether the body says that it is a form."""
        return self.content_type == "application/x-www-form-urlencoded"


def headers_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case; of one that is there more than once, the first."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), value)
    return found
