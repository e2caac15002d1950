"""The option that says to which country phone numbers without a country code belong."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    _ReadsRegion = click.ParamType[str]
else:
    _ReadsRegion = click.ParamType


class Region(_ReadsRegion):
    """An ISO 3166 country, such as IT."""

    name = "region"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from phonenumbers import SUPPORTED_REGIONS

        if value.upper() not in SUPPORTED_REGIONS:
            self.fail(f"{value!r} is not a country of two letters, such as IT", param, ctx)
        return value.upper()


region_option = click.option(
    "--region",
    type=Region(),
    metavar="COUNTRY",
    help="Phone numbers without a country code belong here, such as IT.",
)
