"""Shapes that several endpoints take or give, as JSON Schema (2020-12)."""

from typing import Any

from web.taking import STATUSES

COUNT = {"type": "integer", "minimum": 0}
EVENT = {"$ref": "#/components/schemas/Event"}
EVENTS = {"type": "array", "items": EVENT}
LINES = {"type": "string", "description": "One event a line, as many as there are."}
RESULT = {"$ref": "#/components/schemas/Result"}
RECEIPT_WITH_ITEMS = {"$ref": "#/components/schemas/ReceiptWithItems"}
_COUNTED = ("received", "recorded", "duplicate", "conflict", "quarantined", "head")

SHARED: dict[str, Any] = {
    "Result": {
        "type": "object",
        "description": "What became of one item: its position in the log, or its entry in "
        "quarantine and why.",
        "required": ["status"],
        "properties": {
            "status": {"enum": list(STATUSES)},
            "position": COUNT,
            "entry": COUNT,
            "code": {"type": "string"},
            "path": {"type": "string"},
            "message": {"type": "string"},
        },
    },
    "ReceiptWithItems": {
        "type": "object",
        "description": "received = recorded + duplicate + conflict + quarantined.",
        "required": [*_COUNTED, "items"],
        "properties": dict.fromkeys(_COUNTED, COUNT)
        | {"items": {"type": "array", "items": RESULT}},
    },
}
