"""Admission: who comes with a request, by the secret of a token, and whether he may."""

import base64
import binascii
from collections.abc import Sequence
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.requests import Request

from ledger.access import Access, Right
from ledger.errors import Denied
from web.problems import Problem
from web.service import Service, service_of

SECRET_CHARACTERS_MAX = 512
CHALLENGE = 'Bearer realm="touchstone", Basic realm="touchstone", charset="UTF-8"'


async def admit(request: Request, *rights: Right, secret: str | None = None) -> Access:
    """Who asks. He needs one of the rights.

    The secret of his token comes in a header, or was found in the body by the caller, which
    counts where that of the header is not known. Raises a Problem: 401 for nobody, 403 without
    the right, 429 when he comes too often.
    """
    service = service_of(request)
    secrets = [found for found in (secret_in(request.headers), secret) if found]
    if not secrets:
        service.turned_away("no_token")
        _unknown("no_token", "it takes a token: send its secret as Authorization: Bearer SECRET")
    access, said = None, ""
    for found in secrets:
        try:
            access = await _known(service, found)
            break
        except _Unknown as unknown:
            said = said or str(unknown)
    if access is None:
        service.turned_away("unknown_token")
        _unknown("unknown_token", said)
    return _allowed(service, access, rights)


async def recognise(request: Request, *rights: Right) -> Access | None:
    """Who asks, as far as headers tell: None where they bring no secret, or one that is not known,
    and the body may have another. Raises a Problem otherwise, as `admit` does."""
    found = secret_in(request.headers)
    if not found:
        return None
    service = service_of(request)
    try:
        return _allowed(service, await _known(service, found), rights)
    except _Unknown:
        return None


class _Unknown(Exception):
    """No token of the ledger has this secret."""


async def _known(service: Service, secret: str) -> Access:
    if len(secret) > SECRET_CHARACTERS_MAX:
        raise _Unknown("the token is not known to this ledger")
    access = service.tokens.remembered(secret)
    if access is not None:
        return access
    try:
        return await service.in_thread(service.tokens.known, secret)
    except Denied as error:
        raise _Unknown(str(error)) from None


def _allowed(service: Service, access: Access, rights: Sequence[Right]) -> Access:
    service.tokens.count(access)
    try:
        access.need(*rights)
    except Denied as error:
        service.turned_away("no_right", access.id)
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
