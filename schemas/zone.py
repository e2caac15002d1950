"""Time zones, by their IANA names."""

from functools import cache
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


@cache
def zone_names() -> frozenset[str]:
    """Every zone and link of the IANA database, as the tzdata package lists them.

    The operating system's own list is not asked: it differs from one machine to the next, and
    the same file of touchpoints must be accepted by all of them.
    """
    from importlib.resources import files  # imports half of the archive modules

    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


def _known(zone: str) -> str:
    if zone not in zone_names():
        raise PydanticCustomError(
            "zone", "expected the IANA name of a time zone, such as Europe/Rome"
        )
    return zone


Zone = Annotated[str, AfterValidator(_known)]
"""An IANA time zone, such as `Africa/Johannesburg`."""
