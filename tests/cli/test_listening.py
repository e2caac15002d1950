"""Where `serve` cannot listen, or speak HTTPS, it names the option and what to give instead."""

import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tests.cli.running import Shell
from tests.web.webhooks.signing import amazon

FAILED, USAGE = 1, 2
OPEN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"a passphrase")


def _pem(key: PrivateKeyTypes, lock: serialization.KeySerializationEncryption = OPEN) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """A shell without a ledger: what is wrong is found before one is looked for."""
    return Shell(tmp_path)


def test_files_that_do_not_make_it_speak_https_are_named(bare: Shell) -> None:
    ours, certificate = amazon()[0], bare.write("a.pem", amazon()[1])
    key = bare.write("a.key", _pem(ours))
    other = bare.write("b.key", _pem(ec.generate_private_key(ec.SECP256R1())))
    locked = bare.write("locked.key", _pem(ours, LOCKED))
    none = bare.write("none.pem", b"-----BEGIN NOTHING-----\n\xff")
    broken = bare.write("broken.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n"
                        b"-----END CERTIFICATE-----\n")  # fmt: skip
    for given, option, words in (
        ((none, key), f"--tls-cert {none}", "no certificate (PEM)"),
        ((certificate, none), f"--tls-key {none}", "no private key (PEM)"),
        ((key, certificate), f"--tls-cert {key}", "--tls-key has the certificate"),
        ((certificate, other), f"--tls-key {other}", f"not the key of --tls-cert {certificate}"),
        ((broken, key), f"--tls-cert {broken}", "cannot be read"),
        ((certificate, locked), f"--tls-key {locked}", "passphrase"),
    ):
        ran = bare("serve", "--port", "0", "--tls-cert", given[0], "--tls-key", given[1])
        assert ran.code == USAGE, ran.err
        assert option in ran.err
        assert words in ran.err
    assert bare("serve", "--tls-cert", certificate).code == USAGE


def test_a_place_that_is_taken_or_unknown_is_told_with_its_option(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = shell("serve", "--port", port, "--no-follow")
    assert ran.code == FAILED
    assert f"port {port} of 127.0.0.1 is taken: give another with --port" in ran.err
    for host in ("a..b", "192.0.2.1"):
        ran = shell("serve", "--port", "0", "--host", host, "--no-follow")
        assert (ran.code, f"--host {host}" in ran.err) == (FAILED, True), ran.err
