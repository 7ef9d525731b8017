"""The time as the ledger, the event log, and answers of people have it."""

from datetime import UTC, datetime


def now() -> str:
    """Return the time, to the millisecond (ISO 8601, UTC)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
