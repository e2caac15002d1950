"""The key file: the master key, the token key and the signing key of one ledger (mode 0600)."""

import fcntl
import os
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ledger.errors import KeysMissing, Locked

KEY_BYTES = 32
FORMAT = 1
_NAMES = ("master", "token", "signing")


class Coming(msgspec.Struct, frozen=True):
    """The master key to which a rotation goes, and when it was made (microseconds since 1970)."""

    key: bytes
    made_at: int

    def __repr__(self) -> str:
        return f"Coming(made_at={self.made_at})"


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets that belong to a ledger and are kept apart from it.

    `master` wraps the keys of subjects, `token` turns personal subjects and search values into
    tokens, `signing` is the Ed25519 key of sealed heads. All are 32 random bytes. `coming` is
    there from the beginning of a rotation until no key is wrapped under `master` any more.
    """

    ledger_id: str
    master: bytes
    token: bytes
    signing: bytes
    made_at: int | None = None
    """When the master was made (microseconds since 1970); not known of the oldest key files."""
    coming: Coming | None = None

    def __repr__(self) -> str:
        return f"KeyFile(ledger_id={self.ledger_id!r})"

    @property
    def masters(self) -> list[bytes]:
        """The master keys; each of them may have wrapped keys."""
        return [self.master, self.coming.key] if self.coming else [self.master]


class _Written(msgspec.Struct, kw_only=True, omit_defaults=True):
    format: int
    ledger_id: str
    master: str
    token: str
    signing: str
    made_at: int | None = None
    coming: str | None = None
    coming_made_at: int = 0


def create_key_file(path: Path, ledger_id: str) -> KeyFile:
    """Make new keys and write them durably; if somebody else was first, his are the keys."""
    return write_key_file(
        path,
        KeyFile(
            ledger_id=ledger_id,
            master=os.urandom(KEY_BYTES),
            token=os.urandom(KEY_BYTES),
            signing=os.urandom(KEY_BYTES),
            made_at=time.time_ns() // 1_000,
        ),
    )


def write_key_file(path: Path, keys: KeyFile) -> KeyFile:
    """Write keys durably; if there are some already, those are returned and left as they are."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # readable for its owner alone
    try:
        _fill(descriptor, keys)
        try:
            os.link(draft, path)
        except FileExistsError:
            return read_key_file(path)
    finally:
        os.unlink(draft)
    sync_folder(path.parent)
    return keys


class HeldKeyFile:
    """A key file that nobody else may replace meanwhile (see `holding_key_file`)."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()  # a link stays one
        self._descriptor = os.open(self._path, os.O_RDONLY)
        try:
            self._lock()
            self.keys = read_key_file(self._path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._descriptor)

    def replace(self, keys: KeyFile) -> None:
        """Put these keys in the place of those that are there, durably.

        At any moment the file is the one or the other, and its owner and mode are the same.
        """
        # A draft that a killed process has left is written over, so that no key stays behind in it.
        draft = self._path.with_name(self._path.name + ".new")
        there = os.fstat(self._descriptor)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(descriptor, 0o600)
        if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, there.st_uid, there.st_gid)
        _fill(os.dup(descriptor), keys)
        os.replace(draft, self._path)
        sync_folder(self._path.parent)
        os.close(self._descriptor)
        self._descriptor, self.keys = descriptor, keys

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(self._descriptor).st_ino == self._path.stat().st_ino
        except BlockingIOError:
            mine = False
        if not mine:
            raise Locked(f"another process rotates the master key in {self._path}")


@contextmanager
def holding_key_file(path: Path) -> Iterator[HeldKeyFile]:
    """Hold the key file to replace it. Raises Locked while another does, or KeysMissing."""
    read_key_file(path)  # in its words, if it cannot be read
    held = HeldKeyFile(path)
    try:
        yield held
    finally:
        held.close()


def read_key_file(path: Path) -> KeyFile:
    """Read the keys. Raises KeysMissing when the file is absent or not a key file."""
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Written)
        keys = {n: b64decode(getattr(written, n), validate=True) for n in _NAMES}
        coming = b64decode(written.coming, validate=True) if written.coming else None
    except FileNotFoundError:
        raise KeysMissing(
            f"the key file {path} is missing; restore it from where its backup is kept, "
            "or name it with --keys"
        ) from None
    except OSError as error:
        raise KeysMissing(f"the key file {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, ValueError):
        raise KeysMissing(f"{path} is not a key file of Touchstone") from None
    found = [*keys.values(), *([coming] if coming else [])]
    if written.format != FORMAT or any(len(key) != KEY_BYTES for key in found):
        raise KeysMissing(f"{path} is not a key file that this version of Touchstone can read")
    return KeyFile(
        ledger_id=written.ledger_id,
        **keys,
        made_at=written.made_at,
        coming=Coming(coming, written.coming_made_at) if coming else None,
    )


def sync_folder(folder: Path) -> None:
    """Make the new name in the folder durable, not only the bytes behind it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(descriptor: int, keys: KeyFile) -> None:
    """Write the keys into a file that is open, durably, and close it."""
    coming = keys.coming
    written = _Written(
        format=FORMAT,
        ledger_id=keys.ledger_id,
        **{name: b64encode(getattr(keys, name)).decode() for name in _NAMES},
        made_at=keys.made_at,
        coming=b64encode(coming.key).decode() if coming else None,
        coming_made_at=coming.made_at if coming else 0,
    )
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
