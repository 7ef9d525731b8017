import os
import signal

import pytest

from leagents_kedro.loop.interruption import clean_exit


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_a_sentence_and_its_code(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as caught, clean_exit():
        os.kill(os.getpid(), number)
    assert caught.value.code == 128 + number
    assert f"Stopped by {number.name}; run the same command to go on." in capsys.readouterr().err
    assert signal.getsignal(number) == before


def test_under_nohup_a_closed_terminal_is_no_reason_to_end():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with clean_exit():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
