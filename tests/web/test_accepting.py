"""Connections beyond what a server has room for are told to come back, and keep nobody out."""

import resource
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ledger.ledger import open_ledger
from tests.crash.launching import wait_until
from tests.places import SQLitePlaces, a_place
from tests.web.raw import head, raw
from tests.web.serving import HOST, Running, serving
from tests.web.webhooks.signing import amazon
from web.accepting import RESERVE_MAX, RESERVE_MIN, room_for
from web.server import Place
from web.settings import Settings

MOST = 3
SETTINGS = Settings(connections_max=MOST, header_seconds=0.5)


def refusals(running: Running) -> int:
    (found,) = (
        float(line.split()[-1])
        for line in running.watch.metrics.told()[0].decode().splitlines()
        if line.startswith('touchstone_http_refused_total{reason="connections"}')
    )
    return int(found)


def test_connections_beyond_the_limit_are_told_to_come_back_and_may(
    sqlite_places: SQLitePlaces,
) -> None:
    with (
        a_place(sqlite_places) as address,
        open_ledger(address) as ledger,
        serving(ledger, SETTINGS) as running,
    ):
        with ExitStack() as stack:
            there = [stack.enter_context(raw(running.url)) for _ in range(MOST)]
            for one in there:
                one.send(head("GET /healthz"))
                assert one.reply().status == 200
            with raw(running.url) as beyond:
                beyond.send(head("GET /healthz"))
                reply = beyond.reply()
                assert (reply.status, reply.json()["code"]) == (503, "busy")
                assert reply.headers["connection"] == "close"
                assert int(reply.headers["retry-after"]) >= 1
                assert beyond.rest() == b""
            assert refusals(running) == 1
            there[0].send(head("GET /healthz"))
            assert there[0].reply().status == 200
        for _ in range(MOST * 2):  # those have gone, and so has each of these
            wait_until(lambda: answers(running))


def answers(running: Running) -> bool:
    with running.client(None) as client:
        return client.get("/healthz").status == 200


def test_who_does_not_shake_hands_counts_and_is_not_waited_for(
    sqlite_places: SQLitePlaces, tmp_path: Path
) -> None:
    key, certificate = amazon()
    (tmp_path / "pem").write_bytes(certificate)
    (tmp_path / "key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    place = Place(host=HOST, port=0, certificate=tmp_path / "pem", certificate_key=tmp_path / "key")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with (
        a_place(sqlite_places) as address,
        open_ledger(address) as ledger,
        serving(ledger, SETTINGS, place) as running,
    ):
        with ExitStack() as stack:
            silent = [stack.enter_context(raw(running.url)) for _ in range(MOST)]
            with raw(running.url) as beyond:
                assert beyond.rest() == b""
            assert refusals(running) == 1
            assert [one.rest() for one in silent] == [b""] * MOST
        with raw(running.url) as plain, trusting.wrap_socket(plain.socket) as secure:
            secure.sendall(head("GET /healthz"))
            assert secure.recv(100).startswith(b"HTTP/1.1 200 ")


def test_connections_leave_descriptors_to_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [0, 0]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.__setitem__(0, wanted[0]))
    for soft, hard, room, raised in (
        (160, 160, 160 - RESERVE_MIN, 160),
        (256, 1_024, 768, 1_024),
        (1_024, 500_000, 4_096, 4_096 + RESERVE_MAX),
        (1_024, resource.RLIM_INFINITY, 4_096, 4_096 + RESERVE_MAX),
        (500_000, 500_000, 4_096, 500_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4_096, resource.RLIM_INFINITY),
        (20, 20, 1, 20),
    ):
        limits[:] = soft, hard
        assert room_for(4_096) == room
        assert limits[0] == raised
