"""`/v1/loyalty/…/redeem`: spending points, once for each Idempotency-Key of a token.

The key names the redemption in the log, so that it holds for ever, and a hash of the request is
recorded with it. What was refused is not kept: the same key may be tried again.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from domain.lots import Account
from domain.loyalty import Member
from domain.redemption import Refusal
from ledger.access import Access, Right
from ledger.decisions import SOURCE, IdTaken, redeem
from ledger.ledger import Ledger
from projections.loyalty import LOYALTY
from projections.query import NOW, Cut, Told, persons_at, rules, state_of
from projections.windows import Record
from projections.windows.consents import whole
from projections.windows.points import chosen_programme, points
from projections.windows.sight import read_stored
from projections.windows.whom import acting_subject
from schemas.envelope import Envelope
from schemas.fields import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX
from schemas.loyalty import POINTS_MAX, PointsRedeemed
from web.admission import admit
from web.answering import UNKNOWN
from web.asking import SUBJECT, Question, person_in, subject_named, wrong
from web.bodies import body_of
from web.endpoint import ENDPOINT_IN_SCOPE, JSON, OBJECT, Answer, Endpoint, Parameter
from web.loyalty import programme_told
from web.problems import Problem
from web.service import service_of

KEY, KEY_CHARACTERS_MAX = "Idempotency-Key", 255
REPLAYED = "Idempotency-Replayed"
BODY_BYTES_MAX = 512 * 1_024
DIGEST_CHARACTERS = 40
_Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=ID_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    points: Annotated[int, msgspec.Meta(ge=1, le=POINTS_MAX)]
    programme: _Name | None = None
    reward: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)] | None = None


_EXPECTED = {
    "points": f"a whole number from 1 to {POINTS_MAX:,}",
    "programme": f"a text of 1 to {ID_CHARACTERS_MAX} characters, none of them a control character",
    "reward": f"a text of 1 to {TEXT_CHARACTERS_MAX:,} characters",
}
"""What each field of a body is to be."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked for, of whom (as it was written), and under which name it is recorded."""

    subject: str
    stored: str
    body: _Body
    name: str

    @property
    def fingerprint(self) -> str:
        """What has to be the same for the same name; nothing personal can be guessed from it."""
        body = self.body
        return _digest(self.stored, body.points, body.programme, body.reward)


async def post_redemption(request: Request) -> Response:
    """Spend points if they are there. The same key again gets the same answer, and spends none."""
    endpoint: Endpoint = request.scope[ENDPOINT_IN_SCOPE]
    access = await admit(request, *endpoint.needs)
    subject = Question(request, endpoint, access).part("subject")
    name = _name(request, access)
    body = _body(await body_of(request, BODY_BYTES_MAX))
    service = service_of(request)
    return await service.in_thread(_redeemed, service.ledger, subject, body, name)


def _name(request: Request, access: Access) -> str:
    """Under which name the redemption is recorded: the same key of another token is another."""
    key = request.headers.get(KEY, "")
    if not 0 < len(key) <= KEY_CHARACTERS_MAX:
        raise Problem(
            400,
            "idempotency_key",
            f"{KEY}: give each redemption a name of its own, of 1 to {KEY_CHARACTERS_MAX} "
            "characters, and the same again when you do not know what became of it",
            path=KEY,
        )
    return f"http-{_digest(access.id, key)}"


def _digest(*parts: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:DIGEST_CHARACTERS]


def _body(raw: bytes) -> _Body:
    try:
        body = msgspec.json.decode(raw, type=_Body)
    except msgspec.ValidationError as error:
        raise _wrong_in(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "json_invalid", "the body is not JSON") from None
    if body.reward is not None and not body.reward.isprintable():
        raise wrong("reward", "it has control characters")
    return body


def _wrong_in(said: str) -> Problem:
    """Which field is wrong, and what it is to be. A field that we do not know is not named: its
    name is the request's."""
    known = {} if said.startswith("Object contains unknown field") else _EXPECTED
    for name, expected in known.items():
        if said.endswith((f" - at `$.{name}`", f"missing required field `{name}`")):
            return wrong(name, f"expected {expected}")
    return wrong("body", f"expected an object with no other fields than {', '.join(_EXPECTED)}")


def _redeemed(ledger: Ledger, subject: str, body: _Body, name: str) -> Response:
    wish = _Wish(subject, subject_named(ledger, subject), body, name)
    told = _recorded(ledger, name)
    is_again = told is not None
    if told is None:
        _redeem(ledger, wish)
        told = _recorded(ledger, name)
    if told is None:
        raise RuntimeError("a redemption is not there although it was recorded")
    if told.envelope.correlationid != wish.fingerprint:
        raise _key_taken()
    headers = {REPLAYED: "true"} if is_again else {}
    return Response(msgspec.json.encode(_record(ledger, told)), headers=headers, media_type=JSON)


def _redeem(ledger: Ledger, wish: _Wish) -> None:
    """Record the redemption, if it is not there. Raises a Problem when it is refused."""
    body = wish.body
    person = person_in(ledger, wish.subject)
    acting = acting_subject(ledger, wish.subject, person)
    programme = body.programme or _only_programme(ledger, person)
    try:
        decision = redeem(
            ledger, acting, programme, body.points, wish.name, body.reward,
            request=wish.fingerprint,
        )  # fmt: skip
    except IdTaken:
        raise _key_taken() from None
    if isinstance(decision, Refusal):
        raise _refused(decision)


def _only_programme(ledger: Ledger, person: str) -> str:
    """The only programme that there is, as far as the log itself knows."""
    member: Member = state_of(ledger, LOYALTY, person, whole(ledger, NOW)) or Member()
    with programme_told():
        return chosen_programme(member, rules(ledger, NOW), None)


def _recorded(ledger: Ledger, name: str) -> Told | None:
    """The redemption of this name."""
    found = read_stored(ledger.log.identified(name, SOURCE))
    return found[0] if found else None


def _record(ledger: Ledger, told: Told) -> Record:
    """The redemption with what was left then: the same whenever it is asked for."""
    envelope: Envelope[Any] = told.envelope
    redeemed: PointsRedeemed = envelope.data
    then = Cut(envelope.at, told.recorded_at)
    person = persons_at(ledger, [envelope.subject], then).person_of(envelope.subject)
    member: Member = state_of(ledger, LOYALTY, person, then) or Member()
    account = member.programmes.get(redeemed.programme, Account())
    return {
        "redemption_id": redeemed.redemption_id,
        "customer": person,
        "programme": redeemed.programme,
        "position": told.position,
        "points": redeemed.points,
        "balance": points(account, envelope.at),
    }


def _refused(refusal: Refusal) -> Problem:
    if refusal.code == "unknown_programme":
        return Problem(404, refusal.code, "there is no such programme", path="programme")
    code = "not_enough_points" if refusal.code in _LACKING else refusal.code
    more: dict[str, Any] = {
        "reason": refusal.code,
        "asked": refusal.asked,
        "active": refusal.active,
    }
    return Problem(409, code, refusal.message, **more)


_LACKING = ("not_enough", "negative_later")


def _key_taken() -> Problem:
    return Problem(
        422, "idempotency_key_taken", f"{KEY}: it was used for another request", path=KEY
    )


ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/loyalty/{subject}/redeem", name="redeemPoints", tag="loyalty",
        needs=(Right.SPEND,), handler=post_redemption,
        summary="Spend points of a customer, if they are there, once for each key.",
        parameters=(
            SUBJECT,
            Parameter(
                name=KEY, where="header", required=True,
                says="The name of this redemption: repeated, it is redeemed once.",
                schema={"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX},
            ),
        ),
        takes={
            JSON: {
                "type": "object",
                "required": ["points"],
                "additionalProperties": False,
                "properties": {
                    "points": {"type": "integer", "minimum": 1, "maximum": POINTS_MAX},
                    "programme": {
                        "type": ["string", "null"], "minLength": 1,
                        "maxLength": ID_CHARACTERS_MAX, "pattern": r"^[^\x00-\x1f\x7f]*$",
                    },
                    "reward": {
                        "type": ["string", "null"], "minLength": 1,
                        "maxLength": TEXT_CHARACTERS_MAX,
                    },
                },
            },
        },
        gives={
            200: Answer(says="The redemption, and what was left.", schema=OBJECT),
            400: Answer(says="The key is missing, or the body is none."),
            404: UNKNOWN,
            409: Answer(says="There are not enough points, or the rules are against it."),
            422: Answer(says="The key was used for another request."),
        },
    ),
)  # fmt: skip
