"""What a question to the views says: its parameters, checked as its endpoint states them.

No value is ever quoted in an answer: subjects and addresses are personal.
"""

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Any, get_args
from urllib.parse import parse_qsl

from starlette.requests import Request

from ledger.access import Access
from ledger.errors import Denied
from ledger.ledger import Ledger
from projections.query import NOW, Cut
from projections.windows import whom
from projections.windows.moments import FORMS, read_moment, read_zone
from projections.windows.sight import PURPOSE_CHARACTERS_MAX, Masked, Revealed, Sight, is_purpose
from projections.windows.whom import Nobody, NotASubject, Several
from schemas.consent import ConsentPurpose
from schemas.door import Refused
from schemas.subject import VALUE_CHARACTERS_MAX
from web.endpoint import Endpoint, Parameter, path_value
from web.problems import Problem

LIMIT, LIMIT_MAX = 100, 1_000
LIMIT_DIGITS_MAX = 9
QUERY_FIELDS_MAX = 100
KIND_CHARACTERS_MAX = 50
REVEAL = "Touchstone-Reveal"
PURPOSES = get_args(ConsentPurpose)
_LOST_PLUS = re.compile(r"(:[\d:.,]+) (\d\d:\d\d)$")
"""The end of a time whose plus has come as a blank, since that is what it is in a query."""


def query(name: str, says: str, *, required: bool = False, **schema: Any) -> Parameter:
    """A parameter of the query; a text unless the schema says otherwise."""
    return Parameter(
        name=name, where="query", says=says, required=required, schema={"type": "string", **schema}
    )


def several(name: str, says: str, among: Iterable[str]) -> Parameter:
    """A parameter that may come several times, each time one of these."""
    items = {"type": "string", "enum": sorted(among)}
    return query(name, f"{says} (may be repeated).", type="array", items=items)


SUBJECT = Parameter(
    name="subject",
    where="path",
    says="A kind and a value, such as customer:42 or email:ana@example.com.",
    schema={
        "type": "string",
        "maxLength": KIND_CHARACTERS_MAX + 1 + VALUE_CHARACTERS_MAX,
        "pattern": r"^[^:\x00-\x1f\x7f/]+:[^\x00-\x1f\x7f]+$",
    },
    required=True,
)
TICKET = Parameter(name="id", where="path", says="The id of a ticket.", required=True)
CUT = (
    query("as_of", f"As it was then: what occurred later is left out. {FORMS}."),
    query("known_at", "As it was known then: what was recorded later is left out."),
    query("tz", "The zone of times that name none, such as Europe/Rome; UTC by default."),
)
PAGED = (
    query("limit", "At most so many.", type="integer", minimum=1, maximum=LIMIT_MAX, default=LIMIT),
    query("cursor", "Where the page before ended: its `next`."),
)
IN_CLEAR = Parameter(
    name=REVEAL,
    where="header",
    says="For what personal data is shown in clear; the look is recorded first.",
    schema={"type": "string", "minLength": 1, "maxLength": PURPOSE_CHARACTERS_MAX},
)


def wrong(path: str, message: str) -> Problem:
    """A parameter that cannot be what it is."""
    return Problem(400, "parameter", f"{path}: {message}", path=path)


class Question:
    """One request for what is in the views, by one who may. Raises a Problem for what is wrong.

    `cut` has the two times as of which it is asked.
    """

    def __init__(self, request: Request, endpoint: Endpoint, access: Access) -> None:
        self.access = access
        self._request = request
        self._given = _query_of(request)
        self._check(endpoint.parameters)
        self._zone = self._zone_named()
        self.cut = Cut(self.moment("as_of"), self.moment("known_at"))

    def _check(self, parameters: Iterable[Parameter]) -> None:
        known = {p.name: p for p in parameters if p.where == "query"}
        for name, values in self._given.items():
            parameter = known.get(name)
            if parameter is None:
                raise Problem(
                    400, "parameter", f"the query has another parameter than {_listed(known)}"
                )
            if len(values) > 1 and parameter.schema["type"] != "array":
                raise wrong(name, "it stands there more than once")
            allowed = _allowed(parameter)
            if allowed is not None and not allowed.issuperset(values):
                raise wrong(name, f"expected one of {', '.join(sorted(allowed))}")
        for name, parameter in known.items():
            if parameter.required and name not in self._given:
                raise wrong(name, "it is missing")

    def part(self, name: str) -> str:
        """A part of the path."""
        return _plain(name, path_value(self._request, name))

    def text(self, name: str) -> str | None:
        """A parameter of the query."""
        (value,) = self._given.get(name, (None,))
        return value

    def needed(self, name: str) -> str:
        """A parameter that is required."""
        return self._given[name][0]

    def several(self, name: str) -> tuple[str, ...]:
        """A parameter that may be repeated."""
        return tuple(self._given.get(name, ()))

    def flag(self, name: str) -> bool:
        """A parameter that is `true` or `false`, and false where it is missing."""
        return self.text(name) == "true"

    def moment(self, name: str, *, starts: bool = False) -> int | None:
        """A time, in microseconds since 1970 (see `projections.windows.moments`)."""
        value = self.text(name)
        if value is None:
            return None
        value = _LOST_PLUS.sub(r"\1+\2", value)
        try:
            return read_moment(value, self._zone, starts=starts)
        except OverflowError:
            raise wrong(name, "outside the years 1 to 9999, in UTC or in tz") from None
        except ValueError:
            raise wrong(name, f"not a time: write {FORMS}, yesterday or now") from None

    def _zone_named(self) -> tzinfo:
        name = self.text("tz")
        try:
            return UTC if name is None else read_zone(name)
        except ValueError:
            raise wrong("tz", "not a time zone: write a name such as Europe/Rome") from None

    @property
    def limit(self) -> int:
        """How many are wanted at most."""
        value = self.text("limit")
        if value is None:
            return LIMIT
        is_number = value.isascii() and value.isdecimal() and len(value) <= LIMIT_DIGITS_MAX
        if not is_number or not 1 <= int(value) <= LIMIT_MAX:
            raise wrong("limit", f"expected a number from 1 to {LIMIT_MAX:,}")
        return int(value)

    def sight(self, ledger: Ledger) -> Sight:
        """How the one who asks sees what is personal: masked, unless he says for what not."""
        given = self._request.headers.get(REVEAL)
        if given is None:
            return Masked()
        try:
            purpose = given.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise wrong(REVEAL, "it is not UTF-8") from None
        if not is_purpose(purpose):
            raise wrong(
                REVEAL, f"say in 1 to {PURPOSE_CHARACTERS_MAX} characters what you look for"
            )
        try:
            return Revealed(ledger, self.access, purpose, _is_followed)
        except Denied as denied:
            raise Problem(403, "no_right", str(denied)) from None


def _is_followed() -> None:
    """Looks bring no views up to date here: who serves follows them, or somebody else does."""


def person_in(ledger: Ledger, subject: str, cut: Cut = NOW) -> str:
    """The person who is meant by a subject. Raises a Problem: 400 for none, 404 for nobody."""
    try:
        return whom.person_of(ledger, subject, cut).person
    except (NotASubject, Refused) as error:
        raise _no_subject(error, "subject") from None
    except Nobody:
        raise Problem(404, "unknown_customer", "nobody is known by this subject") from None
    except Several:
        raise Problem(
            404,
            "several_customers",
            "the address or number was seen with several customers: /v1/customers?find= lists them",
        ) from None


def subject_named(ledger: Ledger, subject: str, path: str = "subject") -> str:
    """A subject as the log knows it. Raises a Problem when it cannot be one."""
    try:
        return whom.stored_subject(ledger, subject)
    except (NotASubject, Refused) as error:
        raise _no_subject(error, path) from None


def _no_subject(error: NotASubject | Refused, path: str) -> Problem:
    said = error.message if isinstance(error, Refused) else str(error)
    return Problem(400, "subject", f"{path}: {said}", path=path)


def _query_of(request: Request) -> dict[str, list[str]]:
    """The query by name. It is UTF-8, and has no control characters."""
    given: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise Problem(400, "encoding", "the query is too long, or not UTF-8") from None
    for name, value in pairs:
        given.setdefault(name, []).append(_plain("query", value))
    return given


def _plain(name: str, value: str) -> str:
    """A text without control characters, of which PostgreSQL keeps not all."""
    if any(character < " " or character == "\x7f" for character in value):
        raise wrong(name, "it has control characters")
    return value


def _allowed(parameter: Parameter) -> frozenset[str] | None:
    """The only values that a parameter may have, if there are such."""
    schema = parameter.schema.get("items", parameter.schema)
    return frozenset(schema["enum"]) if "enum" in schema else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
