"""Puts two touchpoints on Kafka by kafka-python: one in structured mode, one in binary mode.

pip install kafka-python crc32c
"""

import json
import os
from typing import Any

from kafka import KafkaProducer

SERVERS = os.environ.get("TOUCHSTONE_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
TOPIC = os.environ.get("TOUCHSTONE_TOPIC", "touchpoints")

ORDER = {
    "specversion": "1.0",
    "id": "A-1001",
    "source": "shop",
    "type": "order.completed.v1",
    "subject": "customer:42",
    "time": "2026-01-05T10:00:00+01:00",
    "data": {"order_id": "A-1001", "total": {"amount": "12.50", "currency": "EUR"}},
}
ANSWER = {
    "specversion": "1.0",
    "id": "S-7/A-1001",
    "source": "shop",
    "type": "survey.answered.v1",
    "subject": "customer:42",
    "time": "2026-01-06T18:30:00+01:00",
    "data": {"survey_id": "S-7", "kind": "csat", "score": 5, "comment": "Perché no? Grüße!"},
}


def structured(touchpoint: dict[str, Any]) -> dict[str, Any]:
    """The whole event is the value."""
    return {
        "key": touchpoint["subject"].encode(),
        "value": json.dumps(touchpoint).encode(),
        "headers": [("content-type", b"application/cloudevents+json")],
    }


def binary(touchpoint: dict[str, Any]) -> dict[str, Any]:
    """The data are the value, and each attribute is a header."""
    attributes = {name: value for name, value in touchpoint.items() if name != "data"}
    headers = [(f"ce_{name}", str(value).encode()) for name, value in attributes.items()]
    return {
        "key": touchpoint["subject"].encode(),
        "value": json.dumps(touchpoint["data"]).encode(),
        "headers": [("content-type", b"application/json"), *headers],
    }


producer = KafkaProducer(bootstrap_servers=SERVERS, acks="all", enable_idempotence=True)
sent = [producer.send(TOPIC, **structured(ORDER)), producer.send(TOPIC, **binary(ANSWER))]
producer.flush()
for future in sent:
    future.get(timeout=60)  # raises what went wrong
producer.close()
