import os
import re

import pytest

from leagents_kedro.loop.budgets import disk_gb


def test_hours_are_counted_from_the_ledger(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    ledger = project.path / "data/ledger.jsonl"
    ledger.write_text(re.sub(r'"seconds": [0-9.]+', '"seconds": 3600', ledger.read_text()))
    ended = project.kedro("run", "--params=loop.max_wall_hours=1")
    assert "run 1 took 1.00 h (loop.max_wall_hours=1.0)" in ended.output
    assert len(project.rows) == 2


@pytest.mark.parametrize("event", ["finished", "killed"])
def test_device_time_is_that_of_the_event_log_killed_attempts_included(project, event):
    project.kedro("run", "--env=watched", "--params=loop.max_cycles=1")
    events = project.path / "data/events.jsonl"
    train = r'("event": )"finished"(, "job": "train", "device": true, "seconds": )[0-9.]+'
    changed, count = re.subn(train, rf'\g<1>"{event}"\g<2>7200', events.read_text())
    assert count == 1
    events.write_text(changed)
    ended = project.kedro("run", "--env=watched", "--params=loop.max_gpu_hours=2")
    assert "No further cycle: run 1 used the device for 2.00 h (loop.max_gpu_hours=2.0)" in ended.output
    assert len(project.rows) == 2


def test_episodes_are_counted_over_the_cycles_of_a_run(project):
    ended = project.kedro("run", "--params=loop.max_environment_episodes=15,loop.max_cycles=9")
    assert "run 1 simulated 20 episodes (loop.max_environment_episodes=15)" in ended.output
    assert len(project.rows) == 4


def test_the_loop_ends_where_its_data_are_too_large(project):
    ended = project.kedro("run", "--params=loop.max_disk_gb=1e-6")
    assert re.search(r"No further cycle: \S+/data holds \S+ GB \(loop.max_disk_gb=1e-06\)", ended.output)
    assert len(project.rows) == 2
    assert project.kedro("run", "--params=loop.max_disk_gb=1").code == 0
    assert len(project.rows) == 4


def test_a_hard_link_takes_no_room(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v2").mkdir()
    (tmp_path / "v1/file").write_bytes(b"x" * 1000)
    os.link(tmp_path / "v1/file", tmp_path / "v2/file")
    assert disk_gb(tmp_path) == pytest.approx(1e-6)
    (tmp_path / "v2/more").write_bytes(b"x" * 500)
    assert disk_gb(tmp_path) == pytest.approx(1.5e-6)
    assert disk_gb(tmp_path / "missing") == 0
