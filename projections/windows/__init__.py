"""What windows show, whoever opens them: views as records, masked or in clear, and no layout."""

from typing import Any

Record = dict[str, Any]
"""What a window shows of one thing, as JSON has it."""
