"""The consents view: what each person allows, and the marketing that was sent without consent."""

from collections.abc import Callable
from functools import partial

from domain.consent_history import NEVER_GRANTED, READS, ConsentHistory, evolve
from domain.consents import ANY, CHANNELS, GRANTED, MARKETING, WITHDRAWN
from ledger.store import Dialect
from projections.view import Figure, View


def _marketing(channel: str) -> Callable[[Dialect], str]:
    """What holds for marketing on a channel; see domain.consents.deciding."""
    return partial(_standing, channel)


def _standing(channel: str, dialect: Dialect) -> str:
    of_purpose = f"folded.state -> 'standing' -> '{MARKETING}'"
    decides = f"coalesce({of_purpose} -> '{channel}', {of_purpose} -> '{ANY}')"
    granted = dialect.document.replace("{}", decides) + " -> 0"
    return (
        f"CASE CAST({granted} AS text) WHEN 'true' THEN '{GRANTED}' "
        f"WHEN 'false' THEN '{WITHDRAWN}' ELSE '{NEVER_GRANTED}' END"
    )


def _violations(dialect: Dialect) -> str:
    """How many marketing messages were sent without consent."""
    found = dialect.items.replace("{}", "folded.state -> 'violations'")
    return f"(SELECT count(*) FROM {found} AS found)"


CONSENTS = View(
    name="consents",
    version=1,
    reads=READS,
    state=ConsentHistory,
    evolve=evolve,
    figures=(
        *(Figure(f"{channel}_marketing", "text", _marketing(channel)) for channel in CHANNELS),
        Figure("violations", "integer", _violations),
    ),
)
