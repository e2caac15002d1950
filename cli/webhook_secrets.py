"""Secrets of webhooks: where the server's file says that they are, in the environment or a file."""

import os
from pathlib import Path

from web.webhooks.config import SecretMissing

ENVIRONMENT, FILE = "env:", "file:"


def secret_of(written: str, folder: Path) -> str:
    """The secret that `env:NAME` or `file:PATH` stands for; relative paths count from the folder.

    Raises SecretMissing, which names the place and never what is there.
    """
    if written.startswith(ENVIRONMENT):
        name = written.removeprefix(ENVIRONMENT)
        found = os.environ.get(name)
        if not found:
            raise SecretMissing(f"the environment variable {name} is not set")
        return found
    if written.startswith(FILE):
        path = folder / written.removeprefix(FILE)
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretMissing(f"{path} is not UTF-8") from None
        except OSError as error:
            raise SecretMissing(f"{path} cannot be read: {error.strerror}") from None
    raise SecretMissing('expected "env:NAME" or "file:PATH"')
