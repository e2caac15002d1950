"""Which right each command needs of a token. Without a token, whoever has the keys may do all."""

from ledger.access import Right

ANY: tuple[Right, ...] = ()
"""No right: the command looks at no ledger."""

_READ, _AUDIT = (Right.READ,), (Right.AUDIT,)
_OPERATE, _OWN = (Right.OPERATE,), (Right.OWN,)
_WITNESS = (Right.AUDIT, Right.OPERATE)
_CORRECT = (Right.OPERATE, Right.PRIVACY)

NEEDS: dict[str, tuple[Right, ...]] = {
    "init": _OWN,
    "demo": _OWN,
    "append": (Right.APPEND,),
    "import": _OPERATE,
    "log list": _AUDIT,
    "log show": _AUDIT,
    "log tail": _AUDIT,
    "log export": _AUDIT,
    "log void": _CORRECT,
    "customer list": _READ,
    "customer show": _READ,
    "customer timeline": _READ,
    "customer explain": _READ,
    "customer diff": _READ,
    "customer identities": _READ,
    "customer suggest": _READ,
    "customer merge": _CORRECT,
    "customer unmerge": _CORRECT,
    "customer looks": _AUDIT,
    "customer export": (Right.AUDIT, Right.PRIVACY),  # without --proof, only the latter
    "customer erase": (Right.PRIVACY,),
    "ticket list": _READ,
    "ticket show": _READ,
    "ticket history": _READ,
    "ticket explain": _READ,
    "loyalty balance": _READ,
    "loyalty statement": _READ,
    "loyalty explain": _READ,
    "loyalty rules": _READ,
    "loyalty redeem": (Right.SPEND,),
    "consent show": _READ,
    "consent check": (Right.APPEND, Right.READ),
    "consent violations": _READ,
    "projection list": _READ,
    "projection verify": _OPERATE,
    "projection run": _OPERATE,
    "projection rebuild": _OPERATE,
    "projection rollback": _OPERATE,
    "projection parked": _OPERATE,
    "replay": _READ,
    "replay diff": ANY,
    "loyalty simulate": _READ,
    "follow": _OPERATE,
    "consume": _OPERATE,
    "relay": _OPERATE,
    "serve": _OPERATE,
    "connector list": ANY,
    "connector show": ANY,
    "connector test": ANY,
    "quarantine list": _READ,
    "quarantine show": _READ,
    "quarantine retry": _OPERATE,
    "quarantine discard": _OPERATE,
    "token create": _OWN,
    "token list": _OWN,
    "token revoke": _OWN,
    "keys status": _OPERATE,
    "keys rotate": _OWN,
    "audit verify": _WITNESS,
    "audit seal": _OPERATE,
    "audit key": _WITNESS,
    "audit prove": _AUDIT,
    "audit consistency": _WITNESS,
    "audit check": ANY,
    "backup": _OPERATE,
    "restore": _OWN,
    "schema list": ANY,
    "schema show": ANY,
    "schema publish": ANY,
    "roles": _OWN,
    "doctor": _OPERATE,
    "completion": ANY,
}
"""Any one of the rights will do. A command that is not here takes the owner."""


def rights_for(command: str) -> tuple[Right, ...]:
    """The rights of which a command, such as `customer list`, needs one."""
    return NEEDS.get(command, _OWN)
