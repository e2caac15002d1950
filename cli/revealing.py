"""The option by which a command shows personal data in clear, and the sight that it gives."""

from functools import partial
from typing import Any

import click

from cli.session import Session, bring_up_to_date
from ledger.ledger import Ledger
from projections.windows.sight import (
    PURPOSE_CHARACTERS_MAX,
    Masked,
    Revealed,
    Sight,
    is_purpose,
)


def reveal_option(function: Any) -> Any:
    """`--reveal PURPOSE`, given to the command as `reveal`."""
    return click.option(
        "--reveal", metavar="PURPOSE", callback=_purpose,
        help="Show personal data in clear. The look is recorded, with this purpose.",
    )(function)  # fmt: skip


def reveal_required(function: Any) -> Any:
    """`--reveal PURPOSE` of a command that shows nothing but personal data."""
    return click.option(
        "--reveal", metavar="PURPOSE", required=True, callback=_purpose,
        help="For what; personal data is in clear, and the look is recorded, with this purpose.",
    )(function)  # fmt: skip


def _purpose(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None or is_purpose(value):
        return value
    raise click.BadParameter(
        f"say in 1 to {PURPOSE_CHARACTERS_MAX} characters what you look for", param=option
    )


def sight_of(session: Session, ledger: Ledger, purpose: str | None) -> Sight:
    """Masks without a purpose. Raises Denied when somebody without the right gives one."""
    return Masked() if purpose is None else revealed(session, ledger, purpose)


def revealed(session: Session, ledger: Ledger, purpose: str) -> Revealed:
    """Everything in clear. Raises Denied when somebody without the right asks."""
    return Revealed(ledger, session.access, purpose, partial(bring_up_to_date, session, ledger))
