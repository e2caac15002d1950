"""The key file: the master key, the token key and the signing key of one ledger (mode 0600)."""

import os
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

import msgspec

from ledger.errors import KeysMissing

KEY_BYTES = 32
FORMAT = 1


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets that belong to a ledger and are kept apart from it.

    `master` wraps the keys of subjects, `token` turns personal subjects and search values into
    tokens, `signing` is the Ed25519 key of sealed heads. All are 32 random bytes.
    """

    ledger_id: str
    master: bytes
    token: bytes
    signing: bytes

    def __repr__(self) -> str:
        return f"KeyFile(ledger_id={self.ledger_id!r})"


class _Written(msgspec.Struct, kw_only=True):
    format: int
    ledger_id: str
    master: str
    token: str
    signing: str


def create_key_file(path: Path, ledger_id: str) -> KeyFile:
    """Make new keys and write them durably; if somebody else was first, his are the keys."""
    return write_key_file(
        path,
        KeyFile(
            ledger_id=ledger_id,
            master=os.urandom(KEY_BYTES),
            token=os.urandom(KEY_BYTES),
            signing=os.urandom(KEY_BYTES),
        ),
    )


def write_key_file(path: Path, keys: KeyFile) -> KeyFile:
    """Write keys durably; if there are some already, those are returned and left as they are."""
    written = _Written(
        format=FORMAT,
        ledger_id=keys.ledger_id,
        **{
            name: b64encode(getattr(keys, name)).decode() for name in ("master", "token", "signing")
        },
    )
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # readable for its owner alone
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return read_key_file(path)
    finally:
        os.unlink(draft)
    sync_folder(path.parent)
    return keys


def read_key_file(path: Path) -> KeyFile:
    """Read the keys. Raises KeysMissing when the file is absent or not a key file."""
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Written)
        keys = {
            n: b64decode(getattr(written, n), validate=True) for n in ("master", "token", "signing")
        }
    except FileNotFoundError:
        raise KeysMissing(
            f"the key file {path} is missing; restore it from where its backup is kept, "
            "or name it with --keys"
        ) from None
    except OSError as error:
        raise KeysMissing(f"the key file {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, ValueError):
        raise KeysMissing(f"{path} is not a key file of Touchstone") from None
    if written.format != FORMAT or any(len(key) != KEY_BYTES for key in keys.values()):
        raise KeysMissing(f"{path} is not a key file that this version of Touchstone can read")
    return KeyFile(ledger_id=written.ledger_id, **keys)


def sync_folder(folder: Path) -> None:
    """Make the new name in the folder durable, not only the bytes behind it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
