"""Access: tokens are known by their hash, count until they expire or are revoked, and no longer."""

import json

import pytest

from ledger.access import (
    ANY_SOURCE,
    NOT_ALLOWED,
    ONLY_STATED,
    OWNER,
    ROLES,
    SECRET_PREFIX,
    Access,
    NameTaken,
    Right,
    all_tokens,
    authenticate,
    create_token,
    revoke_token,
)
from ledger.address import Address
from ledger.errors import Denied
from ledger.ledger import Ledger
from ledger.quarantine import Received
from ledger.record import GOVERNING
from ledger.stating import SOURCE
from schemas.door import parse
from schemas.registry import BY_TYPE
from tests.ledger.sending import NOW, line, order
from tests.places import contents


def made(ledger: Ledger, role: str = "analyst", **more: object) -> tuple[str, str]:
    """The secret and the id of a new token."""
    secret, token = create_token(ledger.store, NOW, role=role, source="shop", **more)  # type: ignore[arg-type]
    return secret, token.id


def test_who_has_the_secret_is_who_the_token_says(ledger: Ledger) -> None:
    secret, id_ = made(ledger, name="ana")
    assert secret.startswith(SECRET_PREFIX)
    assert authenticate(secret, ledger.store, NOW) == Access(id_, "ana", "analyst", "shop")
    assert made(ledger)[0] != secret


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "x", str.lower, lambda s: ""])
def test_nothing_else_will_do(ledger: Ledger, change: object) -> None:
    secret, _ = made(ledger)
    with pytest.raises(Denied) as refused:
        authenticate(change(secret), ledger.store, NOW)  # type: ignore[operator]
    assert secret not in str(refused.value)


def test_the_secret_stands_nowhere_in_the_ledger(ledger: Ledger, address: Address) -> None:
    secret, _ = made(ledger)
    bare = secret.removeprefix(SECRET_PREFIX).encode()
    assert not [name for name, content in contents(address) if bare in content]


def test_a_token_counts_until_it_expires(ledger: Ledger) -> None:
    secret, _ = made(ledger, expires_at=NOW + 10)
    assert authenticate(secret, ledger.store, NOW + 9).role == "analyst"
    with pytest.raises(Denied, match="expired"):
        authenticate(secret, ledger.store, NOW + 10)


def test_a_revoked_token_counts_no_more_and_stays_in_the_list(ledger: Ledger) -> None:
    (secret, id_), (other, _) = made(ledger), made(ledger)
    assert revoke_token(ledger.store, id_, NOW + 1) is not None
    with pytest.raises(Denied, match="revoked"):
        authenticate(secret, ledger.store, NOW + 2)
    assert authenticate(other, ledger.store, NOW + 2).source == "shop"
    again = revoke_token(ledger.store, id_, NOW + 5)
    assert again is not None
    assert again.revoked_at == NOW + 1
    states = {token.id: token.state(NOW + 5) for token in all_tokens(ledger.store)}
    assert (states[id_], sorted(states.values())) == ("revoked", ["revoked", "valid"])
    assert revoke_token(ledger.store, "nonsense", NOW) is None


def test_two_tokens_that_count_never_share_a_name(ledger: Ledger) -> None:
    _, id_ = made(ledger, name="ana")
    with pytest.raises(NameTaken, match="ana"):
        made(ledger, name="ana")
    revoke_token(ledger.store, id_, NOW)
    made(ledger, name="ana")


def test_an_unknown_role_is_never_given(ledger: Ledger) -> None:
    for role in (OWNER, "root", ""):
        with pytest.raises(KeyError):
            made(ledger, role)
    assert all_tokens(ledger.store) == []


@pytest.mark.parametrize("role", [*ROLES, OWNER, "unheard of"])
def test_a_role_may_what_its_rights_say_and_the_owner_everything(role: str) -> None:
    access = Access("1", "ana", role, ANY_SOURCE)
    for right in Right:
        assert access.may(right) == (role == OWNER or right in ROLES.get(role, ()))
    assert not any(Right.OWN in rights for rights in ROLES.values())


def test_who_may_not_is_told_which_role_it_takes() -> None:
    emitter = Access("1", "shop", "emitter", "shop")
    emitter.need(Right.READ, Right.APPEND)
    with pytest.raises(Denied, match="auditor or privacy_officer"):
        emitter.need(Right.REVEAL)
    with pytest.raises(Denied, match="owner"):
        emitter.need(Right.OWN)


def test_a_token_reports_for_its_own_source() -> None:
    own, foreign = Received(line(order()), "append"), Received(line(order(source="crm")), "append")
    broken = Received(b"{", "append")
    screened = list(Access("1", "shop", "emitter", "shop").screened([own, foreign, broken]))
    assert (screened[0], screened[2]) == (own, broken)
    assert isinstance(screened[1], tuple)
    assert (screened[1][0], screened[1][1].path) == (foreign, "source")
    assert list(Access("1", "any", "operator", ANY_SOURCE).screened([foreign])) == [foreign]


def refused_path(role: str, raw: bytes, source: str = ANY_SOURCE) -> str | None:
    """Because of which field a token of the role may not report this; None if it may."""
    access = Access("1", "ana", role, source)
    plain, binary = access.screened([Received(raw, "append"), in_headers(raw)])
    refused = [item[1] if isinstance(item, tuple) else None for item in (plain, binary)]
    assert str(refused[0]) == str(refused[1])  # however it is said
    if refused[0] is None:
        return None
    assert refused[0].reason == NOT_ALLOWED
    return refused[0].path


def in_headers(raw: bytes) -> Received:
    """The same as a CloudEvent in binary mode, whose attributes stand in headers."""
    event = json.loads(raw)
    headers = [(f"ce_{name}", str(event[name]).encode()) for name in event if name != "data"]
    return Received(json.dumps(event["data"]).encode(), "kafka", headers=headers)


@pytest.mark.parametrize("type_name", sorted(GOVERNING))
def test_what_bears_on_other_facts_is_for_operators(type_name: str) -> None:
    raw = line(order(type=type_name))
    for role in ROLES:
        operating = bool(ROLES[role] & {Right.OPERATE, Right.PRIVACY})
        anybody = type_name in ("customer.linked.v1", "cost.recorded.v1")
        allowed = type_name not in ONLY_STATED and (operating or anybody)
        assert refused_path(role, raw) == (None if allowed else "type"), role
        assert refused_path(role, raw, "shop") == (None if allowed else "type"), role
    assert refused_path(OWNER, raw) is None


@pytest.mark.parametrize("type_name", sorted(t for t in BY_TYPE if t.startswith("points.")))
def test_who_may_not_spend_points_reports_no_spending(type_name: str) -> None:
    for role in ROLES:
        expected = None if Right.SPEND in ROLES[role] else "type"
        assert refused_path(role, line(order(type=type_name))) == expected, role


def test_nobody_with_a_token_speaks_in_the_name_of_touchstone() -> None:
    for role in ROLES:
        assert refused_path(role, line(order(source=SOURCE))) == "source"
        assert refused_path(role, line(order(source=SOURCE)), SOURCE) == "source"
    assert refused_path(OWNER, line(order(source=SOURCE))) is None


@pytest.mark.parametrize("first", [b"5", b'"shop"', b"null", b'{"a":1}'])
def test_a_name_given_twice_is_judged_as_the_door_will_read_it(first: bytes) -> None:
    raw = line(order(source=SOURCE))
    twice = b'{"source":' + first + b"," + raw[1:]
    assert parse(twice).source == SOURCE
    assert refused_path("emitter", twice) == "source"
    assert refused_path("emitter", twice, "shop") == "source"
