import logging
import os
import pty
import re
import select
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr

import pytest

from leagents_kedro.foundation import progress
from leagents_kedro.foundation.progress import doing, on_screen, progress_bar


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The log of a process without a terminal, a line each second."""
    monkeypatch.setattr(progress, "_LINES_S", (1, 2, 3))
    caplog.set_level(logging.INFO, "leagents_kedro")
    return caplog.messages


@contextmanager
def terminal(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Put a terminal in the place of the standard error; what is yielded returns what it shows."""
    caplog.set_level(logging.INFO, "leagents_kedro")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))

    def shown() -> str:
        text = b""
        while text[-1:] != b"]" or select.select([ours], [], [], 0.1)[0]:
            text += os.read(ours, 1 << 16)
        return text.decode()

    with os.fdopen(theirs, "w") as stream, redirect_stderr(stream):
        yield shown
    os.close(ours)


def test_without_a_terminal_it_is_a_line_now_and_then(lines, caplog):
    with on_screen():
        doing("import torch")
        time.sleep(1.5)
        with progress_bar("train", 600, "step") as show:
            for step in (400, 500):
                show(step, "loss 0.5")
                time.sleep(0.8)
        doing(None)
    first, second = caplog.messages
    assert first == "    import torch, for 00:01 now"
    assert re.fullmatch(r"    train: 500 of 600 steps, loss 0.5, 00:0[01] left", second)


def test_where_the_log_is_quiet_so_is_it(lines, caplog, capsys):
    caplog.set_level(logging.WARNING, "leagents_kedro")
    with on_screen():
        doing("import torch")
        time.sleep(1.2)
    assert (caplog.messages, capsys.readouterr()) == ([], ("", ""))


def test_a_terminal_has_a_bar_that_moves_with_each_step(caplog):
    with terminal(caplog) as shown, on_screen(), progress_bar("train", 600, "step") as show:
        show(1, "loss 0.5")
        time.sleep(0.2)
        show(2, "loss 0.4")
        assert re.search(r"train:.* 2/600 .*loss 0.4", shown())


def test_a_terminal_shows_for_how_long_something_is_being_done(caplog):
    with terminal(caplog) as shown, on_screen():
        doing("import torch")
        time.sleep(2.2)
        assert re.search(r"import torch \[00:0[12]\]", shown())
