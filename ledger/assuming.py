"""Rules out of a file, to be taken as known for one question: they never reach the log."""

from collections.abc import Iterable, Iterator
from typing import IO

from domain.occurred import order_of
from domain.rules import Rules
from ledger.governance import RULE_TYPES, Assumed
from ledger.lines import read_touchpoints
from ledger.personal import Vault
from ledger.quarantine import Received
from schemas.door import TOUCHPOINT_BYTES_MAX, Refused, parse
from schemas.envelope import Envelope
from schemas.identity import IdentityRulesPublished
from schemas.loyalty import LoyaltyRulesPublished
from schemas.touchpoint import Touchpoint

ASSUMED_TYPES = (*RULE_TYPES, IdentityRulesPublished.TYPE)
RULES_MAX = 1_000


def assumed_in(stream: IO[bytes], name: str, vault: Vault) -> tuple[Assumed, ...]:
    """The rules in a file of touchpoints (NDJSON, or a JSON array), checked as at any door.

    `name` is what the file is called in errors. Raises Refused, with the line, for what the door
    would not take, what is no rule, and two rules with the same source and id.
    """
    found: dict[tuple[str, str], Assumed] = {}
    for item in read_touchpoints(stream, "rules", name):
        received, refused = item if isinstance(item, tuple) else (item, None)
        unit = "line" if "line" in received.context else "item"
        place = f"{name}, {unit} {received.context[unit]}"
        try:
            fact = _rule(received, refused)
        except Refused as error:
            raise Refused(error.reason, "", f"{place}: {error}") from None
        finally:
            received.close()
        if (fact.source, fact.id) in found:
            raise Refused("repeated", "", f"{place}: a rule before it has the same source and id")
        if len(found) == RULES_MAX:
            raise Refused("too_many", "", f"{place}: there may be {RULES_MAX:,} rules in a file")
        found[fact.source, fact.id] = _assumed(fact, vault)
    if not found:
        raise Refused("empty", "", f"{name}: there is no rule in it")
    return tuple(found.values())


def _rule(received: Received, refused: Refused | None) -> Envelope[Touchpoint]:
    if refused is not None:
        raise refused
    if not isinstance(received.raw, bytes):
        raise Refused("too_large", "", f"longer than {TOUCHPOINT_BYTES_MAX:,} bytes")
    fact = parse(received.raw)
    if fact.type not in ASSUMED_TYPES:
        raise Refused("no_rule", "type", f"expected a rule: {', '.join(ASSUMED_TYPES)}")
    return fact


def _assumed(fact: Envelope[Touchpoint], vault: Vault) -> Assumed:
    data = fact.data
    blocked = data.blocked_values if isinstance(data, IdentityRulesPublished) else ()
    return Assumed(fact, vault.tokens_of(blocked))


def never_in_force(assumed: Iterable[Assumed], rules: Rules) -> Iterator[tuple[str, int]]:
    """(programme, version) of assumed rules that another version overrides at every moment."""
    held = {version.published for span in rules.spans for version in span.values()}
    for fact, _ in assumed:
        if fact.type == LoyaltyRulesPublished.TYPE and order_of(fact) not in held:
            yield fact.data.programme, fact.data.version
