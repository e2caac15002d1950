"""Handshakes: how a vendor finds out that an address is meant to get its webhooks."""

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from ledger.conversions import Unfit
from ledger.mapping_file import Section
from ledger.mapping_values import Expression, Scope, expression_of
from web.webhooks.delivery import Delivery
from web.webhooks.schemes import Unauthentic, check_secret

HANDSHAKES_MAX = 5
CHALLENGE_CHARACTERS_MAX = 1_000
CHALLENGE = "challenge_unfit"
"""The code of a challenge that is not answered with the secret, since it could be a delivery."""

_MADE_WITH_THE_SECRET = ("{hmac_hex}", "{hmac_base64}")
_CHALLENGE_TO_SIGN = re.compile(r"[A-Za-z0-9_-]{1,200}")
_WORD_OF_JSON = re.compile(r"-?[0-9]+([eE]-?[0-9]+)?|true|false|null")


@dataclass(frozen=True, slots=True)
class Answered:
    """What is answered: to a handshake, or to every delivery."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class ToVisit:
    """A handshake is completed by a visit to this address, which the vendor has signed."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """One handshake of a connector, as its [[handshake]] table says it.

    With GET, `challenge` and `token` are names of parameters of the query; with POST,
    `when`, `challenge` and `visit` are expressions over the payload, whose signature was
    checked before. `answer` is a JSON object of texts with holes; without it the challenge
    itself is the answer.
    """

    method: str
    when: Expression | None = None
    challenge: Expression | str = ""
    token: str = ""
    visit: Expression | None = None
    answer: dict[str, str] | None = None

    @property
    def signs_for_anybody(self) -> bool:
        """Whether who asks by GET is answered with what the secret makes of the challenge."""
        texts = (self.answer or {}).values()
        return self.method == "GET" and any(
            hole in text for hole in _MADE_WITH_THE_SECRET for text in texts
        )

    def answered(self, challenge: str, key: bytes | None) -> Answered:
        """The answer to a challenge; `key` is for answers that are made with the secret."""
        if self.answer is None:
            return Answered(challenge.encode(), "text/plain; charset=utf-8")
        made = hmac.digest(key or b"", challenge.encode(), "sha256")
        filled = {}
        for name, text in self.answer.items():
            text = text.replace("{hmac_hex}", made.hex())
            text = text.replace("{hmac_base64}", base64.b64encode(made).decode())
            filled[name] = text.replace("{challenge}", challenge)
        return Answered(msgspec.json.encode(filled), "application/json")


def answer_to_get(
    handshakes: Iterable[Handshake], delivery: Delivery, tokens: list[bytes], key: bytes | None
) -> Answered | None:
    """The answer to a GET; None where no handshake of the connector is one. Raises Unauthentic."""
    for handshake in handshakes:
        if handshake.method != "GET" or not isinstance(handshake.challenge, str):
            continue
        if handshake.token:
            check_secret((delivery.query(handshake.token) or "").encode(), tokens)
        challenge = delivery.query(handshake.challenge) if handshake.challenge else ""
        if handshake.signs_for_anybody and challenge is not None:
            _check_challenge(challenge)
        if challenge is not None and len(challenge) <= CHALLENGE_CHARACTERS_MAX:
            return handshake.answered(challenge, key)
    return None


def _check_challenge(challenge: str) -> None:
    """Raises Unauthentic for a challenge that could be what a delivery is signed over.

    Vendors sign with the same key, so that the answer would be the signature of a forged one.
    """
    if not _CHALLENGE_TO_SIGN.fullmatch(challenge) or _WORD_OF_JSON.fullmatch(challenge):
        raise Unauthentic(CHALLENGE, "the challenge is not made of letters, digits, - and _ alone")


def answer_to_post(
    handshakes: Iterable[Handshake], document: Any, key: bytes | None
) -> Answered | ToVisit | None:
    """What an authentic payload asks for if it is a handshake; None where it is none."""
    if not isinstance(document, dict):
        return None
    for handshake in handshakes:
        if handshake.when is None or not _found(handshake.when, document):
            continue
        if handshake.visit is not None:
            url = _found(handshake.visit, document)
            return ToVisit(url) if isinstance(url, str) else None
        if isinstance(handshake.challenge, Expression):
            challenge = _found(handshake.challenge, document)
            if isinstance(challenge, str) and len(challenge) <= CHALLENGE_CHARACTERS_MAX:
                return handshake.answered(challenge, key)
    return None


def _found(expression: Expression, document: dict[str, Any]) -> Any:
    try:
        return expression.find(Scope(document, 0))
    except Unfit:
        return None


def handshakes_in(top: Section) -> tuple[Handshake, ...]:
    """The [[handshake]] tables of a connector. Raises MappingInvalid."""
    tables = top.take("handshake")
    if tables is None:
        return ()
    if not isinstance(tables, list) or len(tables) > HANDSHAKES_MAX:
        top.refuse(f"expected at most {HANDSHAKES_MAX} tables [[handshake]]", "handshake")
    return tuple(
        _handshake(Section(table, top.file, label=f"handshake {n}"))
        for n, table in enumerate(tables, start=1)
    )


def _handshake(section: Section) -> Handshake:
    method = section.choice("method", ("GET", "POST"), "POST")
    answer = _answer(section)
    if method == "GET":
        made = Handshake(
            method=method,
            challenge=section.text("challenge", "") or "",
            token=section.text("token", "") or "",
            answer=answer,
        )
    else:
        when = section.required_text("when", "\"type == 'url_verification'\"")
        visit = section.text("visit")
        made = Handshake(
            method=method,
            when=expression_of(section, "when", when),
            challenge=""
            if visit
            else expression_of(
                section, "challenge", section.required_text("challenge", '"challenge"')
            ),
            visit=expression_of(section, "visit", visit) if visit else None,
            answer=answer,
        )
    section.finish()
    return made


def _answer(section: Section) -> dict[str, str] | None:
    inner = section.table("answer")
    if inner is None:
        return None
    return {
        name: inner.required_text(name, '"{challenge}"')
        for name in inner.keys()  # noqa: SIM118
    }
