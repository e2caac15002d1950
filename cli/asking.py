"""What the windows are asked: whom, about what, and as seen from which moment."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from cli.exits import NotFound
from cli.moments import Moment
from cli.session import Session
from ledger.ledger import Ledger
from projections.query import NOW, Cut
from projections.windows import whom
from projections.windows.timeline import CHANNELS
from projections.windows.whom import Nobody, NotASubject, Several
from schemas.fields import TEXT_CHARACTERS_MAX
from schemas.registry import BY_TYPE
from schemas.subject import PERSONAL_KINDS

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    _ReadsText = click.ParamType[str]
else:  # click before 8.4 has no type arguments
    _ReadsText = click.ParamType


class TypeName(_ReadsText):
    """A type of the catalogue, such as order.completed.v1."""

    name = "type"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in BY_TYPE:
            return str(value)
        near = get_close_matches(str(value), BY_TYPE, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "`touchstone schema list` names them all"
        return self.fail(f"{value!r} is not a type of the catalogue; {hint}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in BY_TYPE if name.startswith(incomplete)]


def reason_given(_: click.Context, option: click.Parameter, value: str) -> str:
    """Checks a `--reason`, which becomes a field of a touchpoint."""
    if value.strip() and len(value) <= TEXT_CHARACTERS_MAX and value.isprintable():
        return value
    raise click.BadParameter(
        f"say why, in 1 to {TEXT_CHARACTERS_MAX:,} characters, no control characters among them",
        param=option,
    )


limit_option = click.option("-n", "limit", type=click.IntRange(min=1), help="At most so many.")
channel_option = click.option(
    "--channel", "channels", multiple=True, type=click.Choice(CHANNELS),
    help="Only this channel (may be repeated).", metavar="NAME",
)  # fmt: skip
type_option = click.option(
    "--type", "types", multiple=True, type=TypeName(), metavar="TYPE",
    help="Only this type of touchpoint (may be repeated).",
)  # fmt: skip
since_option = click.option(
    "--since", type=Moment(starts=True), metavar="TIME",
    help="What occurred at or after this time.",
)  # fmt: skip
until_option = click.option(
    "--until", type=Moment(), metavar="TIME", help="What occurred at or before this time."
)


_as_of_option = click.option(
    "--as-of", type=Moment(), metavar="TIME",
    help="As it was at this time: what occurred later is left out.",
)  # fmt: skip
_known_at_option = click.option(
    "--known-at", type=Moment(), metavar="TIME",
    help="As it was known at this time: what was recorded later is left out.",
)  # fmt: skip


def cut_options(function: F) -> F:
    """`--as-of` and `--known-at`, given to the command as one `cut`."""

    @wraps(function)
    def asked(*arguments: Any, as_of: int | None, known_at: int | None, **others: Any) -> Any:
        return function(*arguments, cut=Cut(as_of, known_at), **others)

    for option in (_known_at_option, _as_of_option):
        option(asked)
    return cast("F", asked)


def stored_subject(ledger: Ledger, subject: str) -> str:
    """The subject as the log knows it. Raises UsageError when it cannot be one."""
    try:
        return whom.stored_subject(ledger, subject)
    except NotASubject:
        hint = f"email:{subject}" if "@" in subject else f"customer:{subject or 42}"
        raise click.UsageError(
            f"{subject!r} is not a subject: write a kind too, such as {hint}"
        ) from None


def person_named(session: Session, ledger: Ledger, subject: str, cut: Cut = NOW) -> str:
    """The person whom somebody means by a subject (see `whom.person_of`).

    Raises NotFound when there is none, or more than one.
    """
    stored_subject(ledger, subject)
    try:
        person, seen_with = whom.person_of(ledger, subject, cut)
    except Nobody:
        raise NotFound(
            f"nobody is known as {subject}; `touchstone customer list` lists everybody"
        ) from None
    except Several as several:
        persons = ", ".join(several.persons)
        raise NotFound(f"{subject} was seen with several customers: {persons}") from None
    if seen_with:
        session.note(f"note: {subject} was seen with {person}, who is shown")
    return person


def search_token(ledger: Ledger, address: str) -> str:
    """The token of an email address or phone number, written with or without its kind."""
    if address.partition(":")[0] in PERSONAL_KINDS:
        return ledger.vault.stored_subject(address)
    kind = "email" if "@" in address else "phone"
    return ledger.vault.stored_subject(f"{kind}:{address}")
