"""Access: tokens are known by their hash, count until they expire or are revoked, and no longer."""

import pytest

from ledger.access import (
    ANY_SOURCE,
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
