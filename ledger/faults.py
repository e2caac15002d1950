"""Faults: of which kind an error is and where it was raised is told, and never its words, which may
quote what was sent."""

from typing import NamedTuple

_NOTED = "fault: "


class Fault(NamedTuple):
    """The class of an error, or of what it was raised from, and the place: file and line."""

    kind: str
    at: str


def fault_of(error: BaseException) -> Fault:
    """What is told of an error; if it comes from another process, what was noted there."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith(_NOTED):
            kind, _, at = note.removeprefix(_NOTED).partition(" ")
            return Fault(kind, at)
    cause = error.__cause__ or error
    place = cause.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    at = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return Fault(type(cause).__name__, at)


def note_fault(error: BaseException, of: BaseException) -> None:
    """Before it goes to another process, which a traceback cannot: note whose fault it tells of."""
    error.add_note(_NOTED + " ".join(fault_of(of)))
