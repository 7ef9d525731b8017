import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leagents_kedro.datasets.ledger import LedgerDataset
from leagents_kedro.errors import LedgerError


@pytest.fixture
def ledger(tmp_path):
    return LedgerDataset(filepath=str(tmp_path / "data" / "ledger.jsonl"))


def file_of(ledger):
    return ledger._filepath


def test_rows_come_back_in_order(ledger):
    assert not ledger.exists()
    assert ledger.load() == []
    for number in range(3):
        ledger.save({"number": number, "text": "zwölf\n"})
    assert ledger.load() == [{"number": number, "text": "zwölf\n"} for number in range(3)]
    assert len(file_of(ledger).read_text().splitlines()) == 3


@pytest.mark.parametrize("torn", [b'{"number": 2', b'{"number": 2}', b"\0\0\0", b'{"text": "zw\xc3'])
def test_a_row_that_was_cut_short_is_none_and_makes_room(ledger, torn):
    ledger.save({"number": 1})
    with file_of(ledger).open("ab") as file:
        file.write(torn)
    assert ledger.load() == [{"number": 1}]
    ledger.save({"number": 3})
    assert ledger.load() == [{"number": 1}, {"number": 3}]


def test_an_append_reads_no_more_than_the_tail(ledger, monkeypatch):
    rows = [{"number": number, "text": "x" * 3000} for number in range(20)]
    for row in rows:
        ledger.save(row)
    with file_of(ledger).open("ab") as file:
        file.write(b"y" * 10_000)
    read = []
    real_open = Path.open

    def counting(path, *args, **kwargs):
        file = real_open(path, *args, **kwargs)
        real_read = file.read
        file.read = lambda size: read.append(size) or real_read(size)
        return file

    monkeypatch.setattr(Path, "open", counting)
    ledger.save({"number": 20})
    monkeypatch.undo()
    assert sum(read) < 20_000
    assert ledger.load() == [*rows, {"number": 20}]


@pytest.mark.parametrize("line", ["{", "[1]", "", "null"])
def test_a_damaged_line_is_named(ledger, line):
    ledger.save({"number": 1})
    with file_of(ledger).open("a") as file:
        file.write(f"{line}\n")
    ledger.save({"number": 3})
    with pytest.raises(LedgerError, match="line 2: expected a JSON object"):
        ledger.load()


def test_the_second_driver_learns_who_the_first_is(ledger):
    with ledger.lock(), pytest.raises(LedgerError, match=f"pid {os.getpid()} on "), ledger.lock():
        pass
    with ledger.lock():
        pass


def test_the_lock_of_a_killed_driver_is_free_although_its_worker_lives(ledger, tmp_path):
    driver = (
        "import os, sys, time\n"
        "from leagents_kedro.datasets.ledger import LedgerDataset\n"
        "with LedgerDataset(filepath=sys.argv[1]).lock():\n"
        "    worker = os.fork()\n"
        "    if not worker:\n"  # it speaks when it has let go of the lock
        "        print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", driver, str(file_of(ledger))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        with pytest.raises(LedgerError, match=f"pid {process.pid} on "), ledger.lock():
            pass
        process.kill()
        process.wait()
        os.kill(worker, 0)
        with ledger.lock():
            pass
        os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize(("durable", "expected"), [(True, ["events.jsonl", "data"]), (False, [])])
def test_a_durable_row_is_brought_to_the_disk_and_its_name_too(tmp_path, monkeypatch, durable, expected):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink().name))
    rows = LedgerDataset(filepath=str(tmp_path / "data" / "events.jsonl"), durable=durable)
    rows.save({"event": "look"})
    assert synced == expected
    assert rows.load() == [{"event": "look"}]
