"""Which files this process opens."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def openings() -> Iterator[list[str]]:
    """List the paths of what Python opens to read while the context is open."""
    paths: list[str] = []
    active = [True]

    def note(event: str, arguments: tuple) -> None:
        if active and event == "open" and arguments[1] in {"r", "rb"} and not isinstance(arguments[0], int):
            paths.append(os.fspath(arguments[0]))

    sys.addaudithook(note)  # stays as long as the process
    try:
        yield paths
    finally:
        active.clear()
