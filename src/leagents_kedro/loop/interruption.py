"""Ctrl-C and SIGTERM end the loop without a traceback: the ledger knows how to go on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rich.console import Console


@contextmanager
def clean_exit() -> Iterator[None]:
    """Turn an interruption into a sentence and an exit code.

    Raises:
        SystemExit: The process was interrupted, with code 130 by Ctrl-C and 143 by SIGTERM.
    """

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise _TerminatedError

    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = signal.SIGTERM if isinstance(interrupt, _TerminatedError) else signal.SIGINT
        Console(stderr=True).print(f"Stopped by {number.name}; run the same command to go on.", soft_wrap=True)
        raise SystemExit(128 + number) from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM arrived."""
