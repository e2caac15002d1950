"""Sends calls by a Python library of Segment's kind: they come as JSON on standard input.

The arguments are the module of its client and how many calls go in a batch; TOUCHSTONE_URL and
TOUCHSTONE_SECRET say where, and with which write key. Nothing of the library is changed but its
settings. Fails when it gives a batch up.
"""

import importlib
import json
import os
import re
import sys
from datetime import datetime
from typing import Any

module, together = sys.argv[1:]
lost: list[object] = []
client = importlib.import_module(module).Client(
    os.environ["TOUCHSTONE_SECRET"],
    host=os.environ["TOUCHSTONE_URL"],
    upload_size=int(together),
    upload_interval=0.1,
    thread=2,
    on_error=lambda error, batch: lost.append(error),
)


def call(method: str, timestamp: str, **fields: Any) -> None:
    named = {re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in fields.items()}
    getattr(client, method)(timestamp=datetime.fromisoformat(timestamp), **named)


for fields in json.load(sys.stdin):
    call(**fields)
client.shutdown()
sys.exit(f"given up: {lost}" if lost else 0)
