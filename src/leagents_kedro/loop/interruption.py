"""Ctrl-C, SIGTERM, and a closed terminal end the loop without a traceback: the ledger knows how to go on."""

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
        SystemExit: The process was interrupted, with code 130 by Ctrl-C, 143 by SIGTERM, and 129 by SIGHUP, unless
            that is ignored, as by nohup.
    """

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise _TerminatedError(number)

    in_main_thread = threading.current_thread() is threading.main_thread()
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, terminate) for number in heard if in_main_thread}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = signal.Signals(interrupt.args[0]) if isinstance(interrupt, _TerminatedError) else signal.SIGINT
        Console(stderr=True).print(f"Stopped by {number.name}; run the same command to go on.", soft_wrap=True)
        raise SystemExit(128 + number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _TerminatedError(KeyboardInterrupt):
    """A signal arrived that asks the process to end; its number is the argument."""
