import os
import subprocess
import sys

import pytest

from leagents_kedro.datasets.ledger import LedgerDataset

COMMAND = (sys.executable, "-m", "leagents_kedro.loop.clearing")


@pytest.fixture
def used(tmp_path):
    """A project in which something ran; ``data`` is a link to another disk."""
    files = ["disk/README.md", "disk/06_models/candidate/x", "elsewhere/mix", "knowledge/experiments/README.md"]
    files += ["knowledge/experiments/2026-01-31T08.00.00.000Z.md", "knowledge/KNOWLEDGE.md"]
    for path in (tmp_path / name for name in files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "data").symlink_to("disk")
    (tmp_path / "data" / "05_model_input").symlink_to(tmp_path / "elsewhere")
    LedgerDataset(str(tmp_path / "data" / "ledger.jsonl")).save({"event": "opened"})
    return tmp_path


def test_cleaning_waits_for_the_run_that_is_active(used):
    with LedgerDataset(str(used / "data" / "ledger.jsonl")).lock():
        cleaning = subprocess.Popen(COMMAND, cwd=used, stdout=subprocess.PIPE, text=True)
        told = cleaning.stdout.readline()
        assert f"Waiting for a run that is active: it holds {used}/disk/.ledger.jsonl.lock (pid {os.getpid()}" in told
        assert (used / "data" / "ledger.jsonl").exists()
    assert cleaning.wait(timeout=60) == 0
    left = sorted(path.relative_to(used).as_posix() for path in used.rglob("*") if path.is_file())
    assert left == [
        "disk/.ledger.jsonl.lock",
        "disk/README.md",
        "elsewhere/mix",
        "knowledge/KNOWLEDGE.md",
        "knowledge/experiments/README.md",
    ]
    with LedgerDataset(str(used / "data" / "ledger.jsonl")).lock():
        assert sorted(path.name for path in (used / "disk").iterdir()) == [".ledger.jsonl.lock", "README.md"]
