"""Admission: who comes with a request, by the secret of a token, and whether he may."""

import base64
import binascii
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.requests import Request

from ledger.access import Access, Right
from ledger.errors import Denied
from web.problems import Problem
from web.service import service_of

SECRET_CHARACTERS_MAX = 512
CHALLENGE = 'Bearer realm="touchstone", Basic realm="touchstone", charset="UTF-8"'


async def admit(request: Request, *rights: Right, secret: str | None = None) -> Access:
    """Who asks. He needs one of the rights.

    The secret of his token comes in a header, or was found in the body by the caller. Raises a
    Problem: 401 for nobody, 403 without the right, 429 when he comes too often.
    """
    service = service_of(request)
    secret = secret_in(request.headers) or secret
    if not secret:
        service.watch.refused("no_token")
        _unknown("no_token", "it takes a token: send its secret as Authorization: Bearer SECRET")
    if len(secret) > SECRET_CHARACTERS_MAX:
        _unknown("unknown_token", "the token is not known to this ledger")
    access = service.tokens.remembered(secret)
    if access is None:
        try:
            access = await service.in_thread(service.tokens.known, secret)
        except Denied as error:
            service.watch.refused("unknown_token")
            _unknown("unknown_token", str(error))
    service.tokens.count(access)
    try:
        access.need(*rights)
    except Denied as error:
        service.watch.refused("no_right")
        raise Problem(403, "no_right", str(error)) from None
    return access


def secret_in(headers: Headers) -> str | None:
    """The secret that headers bring: Bearer, Basic (as the user, with no password or any), or
    X-Write-Key, alone or behind the name of the key."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        return _basic(value)
    return headers.get("x-write-key", "").rpartition(":")[2].strip() or None


def _basic(value: str) -> str | None:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return user or password or None


def _unknown(code: str, message: str) -> NoReturn:
    raise Problem(401, code, message, headers={"WWW-Authenticate": CHALLENGE})
