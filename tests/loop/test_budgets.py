import os
import re
import subprocess
import sys
import time

import pytest

from leagents_kedro.loop.accounting import DeviceMeter
from leagents_kedro.loop.budgets import disk_gb


def test_hours_are_counted_from_the_ledger(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    ledger = project.path / "data/ledger.jsonl"
    ledger.write_text(re.sub(r'"seconds": [0-9.]+', '"seconds": 3600', ledger.read_text()))
    ended = project.kedro("run", "--params=loop.max_wall_hours=1")
    assert "run 1 took 1.00 h (loop.max_wall_hours=1.0)" in ended.output
    assert len(project.rows) == 2


def charged(project, event):
    """The device seconds that rows of this event tell of."""
    return [row["device_seconds"] for row in project.ledger if row["event"] == event]


def test_device_time_is_counted_from_the_ledger(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    ledger = project.path / "data/ledger.jsonl"
    ledger.write_text(re.sub(r'"device_seconds": [0-9.]+', '"device_seconds": 7200', ledger.read_text()))
    ended = project.kedro("run", "--params=loop.max_gpu_hours=2")
    assert "No further cycle: run 1 used the device for 2.00 h (loop.max_gpu_hours=2.0)" in ended.output
    assert len(project.rows) == 2


def test_device_time_is_counted_where_no_event_can_be_logged(project):
    (project.path / "data/events.jsonl").mkdir(parents=True)
    project.kedro("run", "--env=watched", "--params=loop.max_cycles=1", PAUSE_IN_TRAIN="0.3")
    (seconds,) = charged(project, "closed")
    assert 0.3 <= seconds < 60
    assert "used the device" in project.kedro("run", "--params=loop.max_gpu_hours=0.00001").output


def parallel(project, **environ):
    """Run a cycle with Kedro's `ParallelRunner`, in a process that ends as processes do: a fork leaves its manager."""
    command = [sys.executable, "-m", "kedro", "run", "--runner=ParallelRunner", "--params=loop.max_cycles=1"]
    environ = os.environ | {"DO_NOT_TRACK": "1"} | environ
    return subprocess.run(command, cwd=project.path, env=environ, capture_output=True, timeout=120).returncode


@pytest.mark.slow
def test_device_time_is_counted_where_nodes_run_in_other_processes(project):
    assert parallel(project, PAUSE_IN_TRAIN="0.3", FAIL_IN_DECIDE="1") == 1
    assert parallel(project) == 0
    assert [row["event"] for row in project.ledger] == ["opened", "charged", "resumed", "closed"]
    (failed,), (resumed,) = charged(project, "charged"), charged(project, "resumed")
    assert 0.3 <= failed < 60
    assert resumed == 0
    assert "used the device" in project.kedro("run", "--params=loop.max_gpu_hours=0.00001").output


def test_a_killed_attempt_is_charged_until_it_last_wrote(project):
    project.kedro("run", KILL_IN_TRAIN="0.3")
    assert project.kedro("run", "--params=loop.max_cycles=1").code == 0
    assert [row["event"] for row in project.ledger] == ["opened", "resumed", "closed"]
    (seconds,) = charged(project, "resumed")
    assert 0.2 < seconds < 60


@pytest.mark.parametrize("jump_s", [-31_536_000, pytest.param(31_536_000, marks=pytest.mark.slow)])
def test_a_clock_that_is_set_during_an_attempt_costs_nothing(project, jump_s):
    project.kedro("run", KILL_IN_TRAIN="0.3")
    (progress,) = project.path.glob("data/workspace/training/*/progress")
    os.utime(progress, (progress.stat().st_mtime + jump_s,) * 2)
    (project.path / "data/.device_seconds").write_text("120.5")
    assert project.kedro("run", "--params=loop.max_cycles=1").code == 0
    (seconds,) = charged(project, "resumed")
    assert seconds == (120.5 if jump_s < 0 else 180.5)
    assert not (project.path / "data/.device_seconds").exists()


def test_an_attempt_keeps_what_it_measured(tmp_path):
    meter, file = DeviceMeter(), tmp_path / "kept"
    file.write_text("of an attempt before")
    meter.before_pipeline_run()
    with meter.kept_in(file, every_s=0.01):
        while not file.exists():  # whole as soon as it is there
            time.sleep(0.01)
        assert 0 <= float(file.read_text()) <= meter.seconds
    assert not file.exists()


def test_an_attempt_that_fails_is_charged_with_what_it_used(project):
    project.kedro("run", PAUSE_IN_TRAIN="0.3", FAIL_IN_DECIDE="1")
    assert [row["event"] for row in project.ledger] == ["opened", "charged"]
    assert project.kedro("run", "--params=loop.max_cycles=1").code == 0
    assert [row["event"] for row in project.ledger] == ["opened", "charged", "resumed", "closed"]
    (failed,), (resumed,), (closed,) = (charged(project, event) for event in ("charged", "resumed", "closed"))
    assert 0.3 <= failed < 60
    assert (resumed, closed) == (0, 0), "what was charged is not charged again, and nothing was trained anew"


def test_an_attempt_that_waits_for_a_person_is_charged(project):
    project.configure("gating: {verdicts: [promote], approval: human}")
    project.kedro("run", PAUSE_IN_TRAIN="0.3")
    assert [row["event"] for row in project.ledger] == ["opened", "charged"]
    assert charged(project, "charged")[0] >= 0.3
    project.kedro("run")
    assert len(project.ledger) == 2, "waiting costs nothing"


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
