"""The time as the ledger, the event log, and answers of people have it."""

import re
from datetime import UTC, datetime

_VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")


def now() -> str:
    """Return the time, to the millisecond (ISO 8601, UTC)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def is_version(name: str) -> bool:
    """Whether ``name`` is a time as Kedro names versions, to the millisecond; what people put beside them is none.

    >>> is_version("2026-01-31T08.00.00.000Z"), is_version("README")
    (True, False)
    """
    return _VERSION.fullmatch(name) is not None
