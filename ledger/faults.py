"""Faults of ours: where they were raised is told, and never their words, which may quote."""

PLACE = "raised at "


def raised_at(error: BaseException) -> str:
    """Where in the code it was raised, file and line; in another process, if it is from there."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith(PLACE):
            return str(note).removeprefix(PLACE)
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""


def keep_place(error: BaseException) -> None:
    """Note where it was raised, before it goes to another process, which a traceback cannot."""
    error.add_note(PLACE + raised_at(error))
