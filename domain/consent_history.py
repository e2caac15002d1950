"""All that one person ever allowed and refused, and the marketing that was sent without consent.

`evolve` folds statements and sent messages in the order in which they occurred, so each message
is judged by what had been said when it was sent. No statement that applies means not granted.
"""

from typing import Any

import msgspec

from domain import consents
from domain.consents import MARKETING, Scope, Standing, Statement
from domain.occurred import Occurred
from domain.stated import written
from schemas.email import EmailSent, EmailUnsubscribed
from schemas.fields import rfc3339
from schemas.sms import SmsSent

SENDING = {EmailSent.TYPE: "email", SmsSent.TYPE: "sms"}
"""The types of messages that are judged, each with its channel."""

READS: dict[str, tuple[str, ...]] = {
    name: (*fields, "legal_basis") if fields else () for name, fields in consents.READS.items()
} | dict.fromkeys(SENDING, ("purpose", "campaign"))
"""The fields of `data` that the fold reads, by type. It reads no other type."""

NEVER_GRANTED, UNSUBSCRIBED = "never granted", "unsubscribed"


class Said(Statement, array_like=True, frozen=True, gc=False):
    """A statement with what it named, the type of its touchpoint, and its legal basis."""

    type: str
    channel: str
    purpose: str
    legal_basis: str | None


class Violation(msgspec.Struct, array_like=True, frozen=True):
    """A marketing message that was sent without consent. `at` is in microseconds since 1970 (UTC).

    `withdrawal` is the statement that forbade it; None when nothing that applied had been said.
    """

    at: int
    source: str
    id: str
    channel: str
    campaign: str | None
    withdrawal: Said | None


class ConsentHistory(msgspec.Struct, omit_defaults=True):
    """What is known of one person's consent: every statement, in the order of occurrence.

    `standing` has the statement that decides for each purpose and channel that was ever named.
    """

    statements: list[Said] = []
    standing: Standing[Said] = {}
    violations: list[Violation] = []


def evolve(state: ConsentHistory, touchpoint: Occurred, rules: object) -> ConsentHistory:
    """Fold the next touchpoint, by occurrence, into the history. Mutates and returns `state`."""
    if touchpoint.type in SENDING:
        _judge(state, touchpoint)
    elif touchpoint.type in consents.READS:
        for scope in consents.scopes_of(touchpoint, state.standing):
            said = _said(touchpoint, scope)
            state.statements.append(said)
            consents.note(state.standing, scope, said)
    return state


def _said(touchpoint: Occurred, scope: Scope) -> Said:
    return Said(
        granted=consents.grants(touchpoint),
        at=touchpoint.at,
        source=touchpoint.source,
        id=touchpoint.id,
        type=touchpoint.type,
        channel=scope.channel,
        purpose=scope.purpose,
        # Who unsubscribes or is erased names no legal basis.
        legal_basis=getattr(touchpoint.data, "legal_basis", None),
    )


def _judge(state: ConsentHistory, touchpoint: Occurred) -> None:
    """Keep a message that nothing allowed. One that does not say it is marketing needs none."""
    if touchpoint.data.purpose != MARKETING:
        return
    channel = SENDING[touchpoint.type]
    decides = consents.deciding(state.standing, channel, MARKETING)
    if decides is None or not decides.granted:
        sent = (touchpoint.at, touchpoint.source, touchpoint.id)
        state.violations.append(Violation(*sent, channel, touchpoint.data.campaign, decides))


def intervals(state: ConsentHistory) -> list[dict[str, Any]]:
    """What held from when until when, for each purpose and channel that was ever named.

    By purpose, channel and time, which are RFC 3339 in UTC. An interval begins with the statement
    that it is due to and ends before the next one that applies; `until` is None while it lasts.
    `named` is the channel that the statement named: `any` covers the others too.
    """
    return [
        interval
        for purpose, channels in sorted(state.standing.items())
        for channel in sorted(channels)
        for interval in _intervals(state, channel, purpose)
    ]


def _intervals(state: ConsentHistory, channel: str, purpose: str) -> list[dict[str, Any]]:
    applying = [
        s for s in state.statements if s.purpose == purpose and consents.covers(s.channel, channel)
    ]
    ends = [*(said.at for said in applying[1:]), None]
    return [
        {
            "channel": channel,
            "purpose": purpose,
            "state": said.state,
            "from": rfc3339(said.at),
            "until": written(until),
            **_cause(said),
        }
        for said, until in zip(applying, ends, strict=True)
    ]


def answer(state: ConsentHistory, channel: str, purpose: str) -> dict[str, Any]:
    """Whether a person may be reached on a channel for a purpose, and who said so and when.

    `state` is `granted`, `withdrawn` or `never granted`; only the first of them is a consent.
    """
    decides = consents.deciding(state.standing, channel, purpose)
    return {
        "channel": channel,
        "purpose": purpose,
        "state": decides.state if decides else NEVER_GRANTED,
        "since": written(decides.at if decides else None),
        **_cause(decides),
    }


def _cause(said: Said | None) -> dict[str, Any]:
    """The touchpoint that a state is due to, by its type and identity."""
    return {
        "named": said.channel if said else None,
        "legal_basis": said.legal_basis if said else None,
        "type": said.type if said else None,
        "source": said.source if said else None,
        "id": said.id if said else None,
    }


def violation(found: Violation) -> dict[str, Any]:
    """A violation as windows get it. Times are RFC 3339 in UTC.

    `why` is `never granted`, `withdrawn` or `unsubscribed`; `withdrawal` is the statement.
    """
    said = found.withdrawal
    return {
        "time": rfc3339(found.at),
        "channel": found.channel,
        "purpose": MARKETING,
        "campaign": found.campaign,
        "why": why(found),
        "withdrawal": {"time": rfc3339(said.at), **_cause(said)} if said else None,
        "source": found.source,
        "id": found.id,
    }


def why(found: Violation) -> str:
    """Why a message should not have been sent, in a word or two."""
    if found.withdrawal is None:
        return NEVER_GRANTED
    unsubscribed = found.withdrawal.type == EmailUnsubscribed.TYPE
    return UNSUBSCRIBED if unsubscribed else found.withdrawal.state
