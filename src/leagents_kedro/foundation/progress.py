"""What is being done, and how far it is: a bar below the log on a terminal, elsewhere a line now and then.

Both are silent where the log of this module is, and in worker processes.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import parent_process

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

logger = logging.getLogger(__name__)

_LINES_S = (10, 20, 30, 40, 50, 60)  # then one a minute: a log of hours must stay readable
_lock = threading.RLock()
_works: list["_Work"] = []  # what is being done, and within it


@contextmanager
def progress_bar(title: str, total: int, unit: str) -> Iterator[Callable[[int, str], None]]:
    """Show progress over ``total`` units; the function yielded takes the number done so far and a note."""
    work = _Work(title, total, unit)
    with _lock:
        _hide()
        _works.append(work)
    try:
        yield work.show
    finally:
        with _lock:
            work.hide()
            _works.remove(work)


def doing(title: str | None) -> None:
    """Say what is being done where nothing can be counted, until it is said anew; None for nothing."""
    with _lock:
        for work in [work for work in _works if work.total is None]:
            work.hide()
            _works.remove(work)
        if title:
            _works.insert(0, _Work(title, None, ""))


@contextmanager
def on_screen() -> Iterator[None]:
    """Show what is being done, with the time that it takes, as long as this lasts."""
    over = threading.Event()
    threading.Thread(target=_tick, args=(over,), daemon=True).start()
    try:
        with logging_redirect_tqdm() if _writes_to_terminal() else nullcontext():
            yield
    finally:
        over.set()
        doing(None)


class _Work:
    def __init__(self, title: str, total: int | None, unit: str):
        self.title, self.total, self.unit = title, total, unit
        self._done, self._note, self._begun = 0, "", time.monotonic()
        self._first: tuple[int, float] | None = None  # a killed training goes on in the middle
        self._lines = 0
        self._bar: tqdm | None = None

    def show(self, done: int, note: str) -> None:
        """Tell the number of units done so far; what is attempted again does not count back."""
        self._done, self._note = max(done, self._done), note
        self._first = self._first or (done, time.monotonic())
        if _is_interactive():
            with _lock:
                bar = self._shown()
                bar.set_postfix_str(note, refresh=False)
                bar.update(self._done - bar.n)

    def tick(self) -> None:
        """Tell the time; there is another tick each second."""
        seconds = time.monotonic() - self._begun
        if _is_interactive():
            if self.total is not None or seconds > 1:
                self._shown().refresh()
        elif seconds >= self._next_line():
            self._lines += 1
            logger.info("    %s", self._line(seconds))

    def hide(self) -> None:
        """Take the bar off the terminal; it comes back when there is something to show."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _shown(self) -> tqdm:
        if self._bar is None:
            plain = "{desc} [{elapsed}]" if self.total is None else None
            self._bar = tqdm(
                desc=self.title,
                total=self.total,
                unit=self.unit,
                initial=self._done,
                bar_format=plain,
                file=sys.stderr,
                leave=False,
                dynamic_ncols=True,
            )
            self._bar.start_t -= time.monotonic() - self._begun
        return self._bar

    def _next_line(self) -> float:
        return _LINES_S[self._lines] if self._lines < len(_LINES_S) else 60.0 * (self._lines - len(_LINES_S) + 2)

    def _line(self, seconds: float) -> str:
        if self.total is None:
            return f"{self.title}, for {tqdm.format_interval(seconds)} now"
        parts = [f"{self.title}: {self._done} of {self.total} {self.unit}s", self._note, self._left()]
        return ", ".join(filter(None, parts))

    def _left(self) -> str:
        done, since = self._first or (0, 0.0)
        if self.total is None or self._done <= done:
            return ""
        seconds = (time.monotonic() - since) * (self.total - self._done) / (self._done - done)
        return f"{tqdm.format_interval(seconds)} left"


def _tick(over: threading.Event) -> None:
    while not over.wait(1):
        with _lock:
            if _works and _is_told():
                _works[-1].tick()


def _hide() -> None:
    for work in _works:
        work.hide()


def _is_told() -> bool:
    return logger.isEnabledFor(logging.INFO) and parent_process() is None


def _is_interactive() -> bool:
    return sys.stderr.isatty() and _is_told()


def _writes_to_terminal() -> bool:
    """Whether lines of the log would run into a bar."""
    return _is_interactive() and any(getattr(each, "stream", None) is sys.stderr for each in logging.root.handlers)
