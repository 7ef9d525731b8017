"""Output that never stops the loop, wherever it goes."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


@contextmanager
def lasting_output() -> Iterator[None]:
    """Let what is printed go nowhere where output is closed (``>&-``), or once its reader is gone (``| head -1``)."""
    _reserve_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lasting(stream, number) for number, stream in enumerate(before, start=1))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _lasting(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - open for as long as the process is
    if not _is_of_process(stream, number):
        return stream
    stream.flush()
    raw = io.BufferedWriter(_Lasting(number, "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=True)


def _is_of_process(stream: TextIO, number: int) -> bool:
    """Whether it is no notebook's or test's."""
    with suppress(OSError, ValueError, AttributeError):
        return stream.fileno() == number
    return False


def _reserve_descriptors() -> None:
    """Open what is closed of standard input, output, and error: what opens next would be printed into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


class _Lasting(io.FileIO):
    """A file descriptor whose reader may go away."""

    def write(self, data: Any) -> int:
        """Write, or point the descriptor at nothing once nobody reads it."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            return len(data)
