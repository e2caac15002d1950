"""How summaries word what they show: short texts, lengths of time, subjects."""

from schemas.subject import is_token, kind_of

SHOWN_CHARACTERS_MAX = 60


def short(text: str) -> str:
    """The text on one line, cut with an ellipsis after SHOWN_CHARACTERS_MAX characters."""
    line = " ".join(text[: 4 * SHOWN_CHARACTERS_MAX].split())
    if len(line) <= SHOWN_CHARACTERS_MAX and len(text) <= 4 * SHOWN_CHARACTERS_MAX:
        return line
    return line[: SHOWN_CHARACTERS_MAX - 1].rstrip() + "…"


def shown(value: object) -> str:
    """A personal field in a summary: its text, or an ellipsis while it is still encrypted."""
    text = str(value) if value is not None else ""
    return "…" if text.startswith("~") else short(text)


def shown_subject(subject: str) -> str:
    """A subject in a summary; the token that stands for a personal one becomes an ellipsis."""
    return f"{kind_of(subject)}:…" if is_token(subject) else short(subject)


def lasting(seconds: float) -> str:
    """A length of time by its two largest units: `32 s`, `2 min 5 s`, `1 h 4 min`, `3 d 2 h`."""
    whole = round(seconds)
    for unit, size, smaller, part in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def counted(number: int, noun: str, many: str | None = None) -> str:
    """`1 point`, `1,250 points`; `many` is the plural of a noun that has another."""
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"


def trailing(separator: str, text: str | None) -> str:
    """The text behind its separator, or nothing where there is no text."""
    return f"{separator}{text}" if text else ""
