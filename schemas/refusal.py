"""Refusals that name the field to blame, for checks that need more than one field."""

from typing import LiteralString

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError


def refused(
    path: tuple[str | int, ...], code: LiteralString, message: LiteralString, value: object
) -> ValidationError:
    """The error to raise from a model validator; `path` is counted from the validated class.

    pydantic merges it into the errors that it is collecting, in front of which it puts the path
    of the class itself, so that `score` of a survey comes out as `data.score`.
    """
    details = InitErrorDetails(type=PydanticCustomError(code, message), loc=path, input=value)
    return ValidationError.from_exception_data("touchpoint", [details])
