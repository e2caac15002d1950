"""Signed heads on a topic: a copy that whoever holds the database does not hold."""

import json
from pathlib import Path
from uuid import uuid4

from ledger.seals.checking import check_document
from ledger.seals.heads import key_from
from tests.cli.running import Shell, order_line
from tests.consumers.relaying import published
from tests.servers.kafka import Broker


def test_seals_are_published_with_the_id_of_their_ledger_as_key(
    kafka_broker: Broker, tmp_path: Path
) -> None:
    """The topic is made by the first."""
    shell, topic = Shell(tmp_path), f"heads-{uuid4().hex}"
    assert shell("init").code == 0
    heads = []
    for number in range(2):
        assert shell("append", "-", "--no-follow", stdin=order_line(number)).code == 0
        ran = shell(
            "audit", "seal", "--topic", topic, "--bootstrap-servers", kafka_broker.servers,
            "-o", "json",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        heads.append(ran.json)
    found = published(kafka_broker, topic)
    assert [json.loads(record.value) for record in found] == heads
    assert {record.key.decode() for record in found} == {heads[0]["ledger_id"]}
    key = key_from(shell("audit", "key", "-o", "json").json["public_key"])
    assert all(check_document(head, key=key).ok for head in heads)


def test_a_seal_that_cannot_be_published_is_kept_and_printed(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert shell("init").code == 0
    servers = ("--bootstrap-servers", "127.0.0.1:1")
    ran = shell("audit", "seal", "--topic", "heads", *servers, "-o", "json")
    assert (ran.code, ran.json["size"]) == (7, 0)
    assert shell("audit", "verify", "-o", "json").json["heads"] == 1
