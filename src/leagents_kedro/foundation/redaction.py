"""Tokens and passwords, kept out of events, logs, error messages, and pages."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY", re.IGNORECASE)
_SECRETS = re.compile(r"\b(?:hf_|sk-|gh[opsu]_|github_pat_|AKIA)[A-Za-z0-9_-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")


def redacted(text: str) -> str:
    """Return ``text`` without tokens, and without the values of environment variables that are named like secrets."""
    return _without(_secret_values(), text)


def redacted_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return ``row`` with all its texts redacted."""
    secrets = _secret_values()
    return {key: _without(secrets, value) if isinstance(value, str) else value for key, value in row.items()}


@contextmanager
def redacted_errors() -> Iterator[None]:
    """Take the secrets out of an error, and of those that led to it, before anybody shows it."""
    try:
        yield
    except Exception as error:
        shown: BaseException | None = error
        while shown:
            shown.args = tuple(redacted(value) if isinstance(value, str) else value for value in shown.args)
            shown = shown.__cause__ or shown.__context__
        raise


class RedactedRecord(logging.LogRecord):
    """A record of the log, whichever handler writes it: ``logging.setLogRecordFactory(RedactedRecord)``."""

    def getMessage(self) -> str:
        """Return the message without secrets."""
        return redacted(super().getMessage())


def _secret_values() -> list[str]:
    secrets = (os.environ[name] for name in os.environ if _SECRET_NAMES.search(name))
    return [value for value in secrets if len(value) >= 8]


def _without(secrets: Iterable[str], text: str) -> str:
    for value in secrets:
        text = text.replace(value, "[redacted]")
    return _SECRETS.sub("[redacted]", text)
