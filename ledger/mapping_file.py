"""A mapping file as it is read: TOML tables that know where they stand and refuse unknown keys."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

MAPPING_BYTES_MAX = 1_048_576

T = TypeVar("T")


class MappingInvalid(ValueError):
    """A mapping that cannot be used: which file, which key, what is wrong, what to write."""

    def __init__(self, file: str, where: str, message: str) -> None:
        super().__init__(": ".join(part for part in (file, where, message) if part))
        self.file = file
        self.where = where
        self.message = message


class Section:
    """One table of the file. Each key is taken once; what is left at the end is refused."""

    def __init__(
        self, table: dict[str, Any], file: str, *, label: str = "", path: str = ""
    ) -> None:
        self._left = dict(table)
        self._known: list[str] = []
        self.file = file
        self.label = label
        self.path = path

    def path_of(self, key: str) -> str:
        """The path of one of its keys, such as `data.total.amount`."""
        return ".".join(part for part in (self.path, key) if part)

    def refuse(self, message: str, key: str = "") -> NoReturn:
        """Raises MappingInvalid for this table or one of its keys."""
        where = ", ".join(part for part in (self.label, self.path_of(key)) if part)
        raise MappingInvalid(self.file, where, message)

    def inner(self, key: str, table: dict[str, Any]) -> "Section":
        """A table that stands under one of its keys."""
        return Section(table, self.file, label=self.label, path=self.path_of(key))

    def has(self, key: str) -> bool:
        self._known.append(key)
        return key in self._left

    def keys(self) -> tuple[str, ...]:
        """The keys that were not taken yet, in the order of the file."""
        return tuple(self._left)

    def take(self, key: str) -> Any:
        """The value as TOML has it, None where the key is missing."""
        self._known.append(key)
        return self._left.pop(key, None)

    def text(self, key: str, default: str | None = None) -> str | None:
        return self._typed(key, str, 'a text in quotes, such as "…"', default)

    def required_text(self, key: str, example: str) -> str:
        """A text that has to be there. Raises MappingInvalid with the example."""
        found = self.text(key)
        if not found:
            self.refuse(f"is missing; write {key} = {example}", key)
        return found

    def boolean(self, key: str, default: bool) -> bool:
        found = self._typed(key, bool, "true or false", default)
        return default if found is None else found

    def count(self, key: str, default: int) -> int:
        """A whole number of zero or more."""
        found = self._typed(key, int, "a whole number", default)
        if found is None or isinstance(found, bool) or found < 0:
            self.refuse("expected a whole number of zero or more", key)
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where the key is missing."""
        found = self._typed(key, list, 'a list of texts, such as ["a", "b"]', [])
        if not all(isinstance(item, str) for item in found or []):
            self.refuse('expected a list of texts, such as ["a", "b"]', key)
        return tuple(found or [])

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        found = self.text(key, default) or ""
        if found not in choices:
            self.refuse(f"expected one of {', '.join(choices)}", key)
        return found

    def table(self, key: str) -> "Section | None":
        found = self._typed(key, dict, "a table", None)
        return None if found is None else self.inner(key, found)

    def finish(self) -> None:
        """Refuse what nobody has taken: a key that means nothing is a mistake."""
        for key in self._left:
            self.refuse(f"unknown key{nearest(key, self._known)}", key)

    def _typed(self, key: str, kind: type[T], expected: str, default: T | None) -> T | None:
        found = self.take(key)
        if found is None:
            return default
        if not isinstance(found, kind):
            self.refuse(f"expected {expected}", key)
        return found


def refuse_file_of_webhooks(top: Section) -> None:
    """Raises MappingInvalid for the file of a server, which says where webhooks come in."""
    for key in {"webhook", "webhooks"}.intersection(top.keys()):
        top.refuse(
            f"the tables [[{key}]] are for a file of `serve --webhooks`, as this seems to be: "
            "give a mapping, or the file of a connector"
        )


def nearest(name: str, names: Iterable[str]) -> str:
    """The names that were expected, or the one that was probably meant, to end a message."""
    from difflib import get_close_matches  # only a mistake is worth the time of its import

    known = sorted(set(names))
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; expected one of: {', '.join(known)}"


def read_mapping_file(path: Path) -> Section:
    """The top table of a mapping file. Raises MappingInvalid, also when it cannot be opened."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAPPING_BYTES_MAX + 1)
    except OSError as error:
        raise MappingInvalid(file, "", f"cannot be read: {error.strerror}") from None
    if len(raw) > MAPPING_BYTES_MAX:
        raise MappingInvalid(file, "", f"longer than {MAPPING_BYTES_MAX:,} bytes")
    try:
        return Section(tomllib.loads(raw.decode("utf-8-sig")), file)
    except UnicodeDecodeError:
        raise MappingInvalid(file, "", "is not valid UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise MappingInvalid(file, "", f"is not valid TOML: {error}") from None
    except RecursionError:
        raise MappingInvalid(file, "", "is nested too deeply") from None
