"""Loyalty rules as records: what earns points, and from when."""

from collections.abc import Iterator
from typing import Any

from domain.rules import Rules, Version
from projections.windows import Record, rule_words
from schemas.encoding import plain
from schemas.fields import rfc3339


def version_records(known: Rules, programme: str, moment: int) -> Iterator[Record]:
    """The versions of a programme, or what is known of one that was closed without any."""
    last = known.closed(programme)
    closing = {"last_redemption_at": None if last is None else rfc3339(last)}
    in_force = known.in_force(programme, moment)
    versions = known.versions.get(programme, ())
    if not versions:
        yield {"programme": programme, "version": None, **closing}
    for version in versions:
        yield _version(version) | {"in_force": version is in_force} | closing


def _version(version: Version) -> Record:
    facts = version.facts
    record: dict[str, Any] = {
        "programme": version.programme,
        "version": version.version,
        "valid_from": rfc3339(version.valid_from),
    }
    for name in ("expires_after_days", "pending_days", "point_value", "minimum_redemption"):
        record[name] = plain(getattr(facts, name))
    record["earn"] = [{**plain(rule), "text": rule_words.earning(rule)} for rule in facts.earn]
    return record | {"terms": rule_words.terms(facts)}
