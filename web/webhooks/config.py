"""The file of `serve --webhooks`: which webhooks a server takes, with the secrets of each."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phonenumbers import SUPPORTED_REGIONS

from ledger.mapping_file import Section, nearest, read_mapping_file
from schemas.fields import SOURCE_CHARACTERS_MAX
from web.webhooks.certificates import Certificates, CertificateUnfit, Fetch, fetch
from web.webhooks.connector import ENDING, Connector, load_connector, shipped, shipped_path
from web.webhooks.proofs import SecretUnfit
from web.webhooks.receiving import Webhook
from web.webhooks.schemes import Scheme
from web.webhooks.sns import Sns

WEBHOOKS_MAX = 1_000
SECRETS_MAX = 10
PLAIN = "text:"
"""What a configured secret begins with that need not be kept secret."""

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SecretMissing(ValueError):
    """A secret that is not where the file says; names the place, never the secret."""


SecretOf = Callable[[str, Path], str]
"""The secret that `env:NAME` or `file:PATH` stands for; paths count from a folder.

Raises SecretMissing.
"""


def load_webhooks(
    path: Path, secret_of: SecretOf, public_url: str | None, get: Fetch = fetch
) -> tuple[Webhook, ...]:
    """The webhooks that a file describes, with their secrets. Raises MappingInvalid.

    `public_url` is where vendors reach the server: some sign it. `get` fetches certificates.
    """
    top = read_mapping_file(path)
    if not top.has("webhook"):
        top.finish()
    tables = top.take("webhook")
    if not isinstance(tables, list) or not 1 <= len(tables) <= WEBHOOKS_MAX:
        top.refuse(f"expected 1 to {WEBHOOKS_MAX} tables [[webhook]]", "webhook")
    if not all(isinstance(table, dict) for table in tables):
        top.refuse("expected tables [[webhook]]", "webhook")
    top.finish()
    reader = _Reader(path.parent, secret_of, get)
    made: list[Webhook] = []
    for number, table in enumerate(tables, start=1):
        section = Section(table, top.file, label=f"webhook {number}")
        webhook = reader.webhook(section)
        if webhook.name in (other.name for other in made):
            section.refuse("another webhook has this path", "path")
        _check_url(section, webhook, public_url)
        made.append(webhook)
    return tuple(made)


def _check_url(section: Section, webhook: Webhook, public_url: str | None) -> None:
    if public_url is None and any(scheme.needs_url for scheme, keys in webhook.keys if keys):
        section.refuse(
            f"{webhook.connector.title} signs the address that it calls: give --public-url, such "
            "as https://crm.example.com, or let in only the schemes that do not",
            "connector",
        )


class _Reader:
    """Reads the tables of one file."""

    def __init__(self, folder: Path, secret_of: SecretOf, get: Fetch) -> None:
        self._folder = folder
        self._secret_of = secret_of
        self._get = get

    def webhook(self, section: Section) -> Webhook:
        name = section.required_text("path", '"shop-eu", the last part of its address')
        if not _PATH.fullmatch(name):
            section.refuse("expected letters, digits, - _ and ., at most 100 of them", "path")
        connector = self._connector(section)
        source = section.text("source", connector.mapping.source) or ""
        if not 1 <= len(source) <= SOURCE_CHARACTERS_MAX or not source.isprintable():
            section.refuse(f"expected 1 to {SOURCE_CHARACTERS_MAX} characters", "source")
        schemes = self._schemes(section, connector)
        secrets = self._secrets(section, "secrets")
        if not secrets:
            section.refuse('is missing; write secrets = ["env:NAME"], or "file:PATH"', "secrets")
        tokens = self._secrets(section, "tokens")
        if any(h.token for h in connector.handshakes) and not tokens:
            section.refuse(f'is missing; {connector.title} asks for one: ["env:NAME"]', "tokens")
        region = _region(section)
        section.finish()
        return Webhook(
            name=name,
            connector=connector,
            source=source,
            region=region,
            keys=_keys(section, connector, schemes, secrets),
            tokens=[token.text.encode() for token in tokens],
            key=secrets[0].text.encode(),
        )

    def _connector(self, section: Section) -> Connector:
        written = section.required_text("connector", '"stripe", or the path of a file')
        if written.endswith(ENDING):
            return load_connector(self._folder / written)
        path = shipped_path(written)
        if path is None:
            section.refuse(f"there is no such connector{nearest(written, shipped())}", "connector")
        return load_connector(path)

    def _schemes(self, section: Section, connector: Connector) -> list[Scheme]:
        names = section.texts("schemes")
        known = [scheme.name for scheme in connector.schemes]
        for name in names:
            if name not in known:
                section.refuse(f"the connector has no such scheme{nearest(name, known)}", "schemes")
        chosen = [s for s in connector.schemes if not names or s.name in names]
        certificates = self._certificates(section)
        if certificates is not None and not any(isinstance(s, Sns) for s in chosen):
            section.refuse("is for Amazon SNS only", "certificate")
        own = certificates or Certificates(self._get)
        return [replace(s, certificates=own) if isinstance(s, Sns) else s for s in chosen]

    def _certificates(self, section: Section) -> Certificates | None:
        written = section.text("certificate")
        if written is None:
            return None
        try:
            return Certificates(self._get, (self._folder / written).read_bytes())
        except OSError as error:
            section.refuse(f"cannot be read: {error.strerror}", "certificate")
        except CertificateUnfit as unfit:
            section.refuse(str(unfit), "certificate")

    def _secrets(self, section: Section, key: str) -> list["_Secret"]:
        written = section.texts(key)
        if len(written) > SECRETS_MAX:
            section.refuse(f"expected at most {SECRETS_MAX}", key)
        return [self._secret(section, f"{key}[{n}]", w) for n, w in enumerate(written)]

    def _secret(self, section: Section, key: str, written: str) -> "_Secret":
        plain = written.startswith(PLAIN)
        try:
            found = written.removeprefix(PLAIN) if plain else self._secret_of(written, self._folder)
        except SecretMissing as missing:
            section.refuse(str(missing), key)
        if not found.strip():
            section.refuse("is empty", key)
        if plain and not key.startswith("secrets"):
            section.refuse(_IN_THE_FILE, key)
        return _Secret(found, plain, key)


def _region(section: Section) -> str | None:
    found = section.text("region")
    if found is not None and found not in SUPPORTED_REGIONS:
        section.refuse("expected a country of two letters, such as IT", "region")
    return found


_IN_THE_FILE = 'is written in the file: keep it elsewhere, and write "env:NAME" or "file:PATH"'


@dataclass(frozen=True, slots=True)
class _Secret:
    """A configured secret, whether it stands in the file itself, and under which key."""

    text: str = field(repr=False)
    plain: bool
    key: str


def _keys(
    section: Section, connector: Connector, schemes: list[Scheme], secrets: list[_Secret]
) -> tuple[tuple[Scheme, list[Any]], ...]:
    """For each scheme the keys that the secrets stand for. Raises MappingInvalid."""
    made: list[tuple[Scheme, list[Any]]] = [(scheme, []) for scheme in schemes]
    prefixes = [scheme.key_prefix for scheme in connector.schemes if scheme.key_prefix]
    for secret in secrets:
        faults: list[str] = []
        used = False
        for scheme, keys in made:
            key = _key(scheme, secret, prefixes, faults)
            if key is not None:
                keys.append(key)
                used = True
        if not used:
            why = faults[0] if faults else "is meant for none of the schemes"
            section.refuse(why, secret.key)
    return tuple(made)


def _key(scheme: Scheme, secret: _Secret, prefixes: list[str], faults: list[str]) -> Any:
    """The key of one scheme; None where the secret is none, with why among the faults.

    A secret that begins as those of one scheme do is for that scheme alone.
    """
    begins = [prefix for prefix in prefixes if secret.text.startswith(prefix)]
    if begins and scheme.key_prefix not in begins:
        return None
    if secret.plain and not scheme.secret_is_public:
        faults.append(_IN_THE_FILE)
        return None
    try:
        return scheme.key_of(secret.text)
    except SecretUnfit as unfit:
        faults.append(str(unfit))
        return None
