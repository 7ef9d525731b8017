"""Nested parameters under dotted names."""

from collections.abc import Iterator
from typing import Any


def flat(nested: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is no dict, with the keys that lead to it.

    >>> dict(flat({"policy": {"type": "act"}, "steps": 3}))
    {'policy.type': 'act', 'steps': 3}
    """
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
