import os
import signal
import subprocess
import sys

import pytest

from leagents_kedro.datasets.ledger import LedgerDataset
from support.projects import copy_project

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


def test_places_that_an_environment_names_elsewhere_are_cleaned_of_what_the_catalog_keeps_there(tmp_path):
    project, lab = copy_project(tmp_path / "project"), tmp_path / "lab"
    (project / "conf/lab").mkdir()
    (project / "conf/lab/globals.yml").write_text(f"data: {lab}\nknowledge: {lab}/wiki\n")
    kept = [lab / "photo.png", lab / "wiki/experiments/notes.md", project / "conf/base/constitution.yml"]
    gone = [lab / "06_models/candidate/x", lab / "wiki/experiments/2026-01-31T08.00.00.000Z.md", project / "data/x"]
    for path in (*kept[:2], *gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    ledger = LedgerDataset(str(lab / "ledger.jsonl"))
    ledger.save({"event": "opened"})
    with ledger.lock():
        cleaning = subprocess.Popen(COMMAND, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert f"it holds {lab}/.ledger.jsonl.lock" in cleaning.stdout.readline()
        assert all(path.exists() for path in gone)
        cleaning.send_signal(signal.SIGINT)
        _, told = cleaning.communicate(timeout=60)
        assert cleaning.returncode == 130
        assert told == "Stopped by SIGINT; run the same command to go on.\n"
    assert subprocess.run(COMMAND, cwd=project, check=False).returncode == 0
    assert not any(path.exists() for path in (*gone, lab / "ledger.jsonl"))
    assert all(path.exists() for path in kept)
