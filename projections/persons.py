"""Persons come first: which person a subject is, and which streams tell of a person.

Every subject is a person of its own until identity facts (links, merges) say otherwise; the
engine asks here and nowhere else, so that those facts have one place to take effect.
"""

from schemas.subject import stream_of


def person_of(subject: str) -> str:
    """The person whom a touchpoint of this (stored) subject is about."""
    return subject


def streams_of(person: str) -> tuple[str, ...]:
    """The streams that hold the touchpoints of a person."""
    return (stream_of(person).hex,)
