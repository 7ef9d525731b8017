"""A hundred cycles of the real loop in one process: memory stays flat, and the disk keeps what is still needed."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from leagents_kedro.loop.budgets import disk_gb
from support.projects import copy_project

CYCLES = 100
WARM_UP = 20  # cycles in which libraries are loaded and caches fill
KEEP = 5
TINY = f"""
suite: {{tasks: [reach-v3, drawer-close-v3], options: {{episode_length: 90}}}}
demonstrations: {{amplify: null, initial_per_task: 2, growth_per_task: 1, allocation: uniform, cap_per_task: 1000}}
training:
  batch_size: 64
  save_every_steps: 10
  ladder:
    - policy_type: act
      steps: 20
      pretrained_path: null
      pretrained_revision: null
      options: {{chunk_size: 10, n_action_steps: 10, dim_model: 32, n_heads: 2, dim_feedforward: 64,
                n_encoder_layers: 1, n_vae_encoder_layers: 1, latent_dim: 4, optimizer_lr: 1.0e-3}}
gating: {{max_pairs: 8, look_every: 4, floor: 0.0, target: null, plateau_cycles: 1000}}
evaluation: {{workers: 1, episode_timeout_s: null}}
harvest: {{attempts_per_task: 1}}
retention: {{keep_last: {KEEP}}}
loop: {{max_cycles: {CYCLES}}}
"""


@dataclass(frozen=True)
class LongRun:
    """What was seen when each cycle was closed: memory of the process, disk space of ``data/``; both in MB."""

    project: Path
    code: int
    output: str
    memory: list[float]
    disk: list[float]


def closed_cycles(project: Path) -> int:
    ledger = project / "data" / "ledger.jsonl"
    return ledger.read_bytes().count(b'{"event": "closed"') if ledger.exists() else 0


def memory_mb(pid: int) -> float:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1000


@pytest.fixture(scope="module")
def long_run(tmp_path_factory) -> LongRun:
    project = copy_project(tmp_path_factory.mktemp("long") / "project", TINY, with_code=True)
    log = project / "output.txt"
    memory, disk = [], []
    command = [sys.executable, "-m", "kedro", "run"]
    environ = os.environ | {"DO_NOT_TRACK": "1", "PYTHONPATH": str(project / "src")}
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=project, env=environ, stdout=output, stderr=output) as process,
    ):
        while process.poll() is None:
            if closed_cycles(project) > len(memory):
                memory.append(memory_mb(process.pid))
                disk.append(disk_gb(project / "data") * 1000)
            time.sleep(0.05)
    return LongRun(project, process.returncode, log.read_text(), memory, disk)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def slope(values: list[float]) -> float:
    """Growth a cycle after the warm-up."""
    return float(np.polyfit(range(WARM_UP, len(values)), values[WARM_UP:], 1)[0])


def test_a_hundred_cycles_run_unattended(long_run):
    assert long_run.code == 0, long_run.output[-4000:]
    assert closed_cycles(long_run.project) == CYCLES
    assert len(long_run.memory) > 0.9 * CYCLES


def test_memory_stays_flat(long_run):
    assert slope(long_run.memory) < 2, long_run.memory


def test_the_disk_grows_by_what_is_new(long_run):
    """Beside small records, a cycle leaves what is new of the mix, once, and what cited cycles read and wrote."""
    rows = [json.loads(line) for line in (long_run.project / "data" / "ledger.jsonl").read_text().splitlines()]
    verdicts = [row["record"]["decision"]["verdict"] for row in rows if row["event"] == "closed"]
    candidates = list((long_run.project / "data" / "06_models" / "candidate").glob("*/candidate"))
    assert len(candidates) <= KEEP + 2 * verdicts.count("promote") + 1
    size = disk_gb(candidates[-1]) * 1000
    assert slope(long_run.disk) < 0.3 + 2 * size * verdicts.count("promote") / CYCLES, long_run.disk


def test_every_decision_is_replayed(long_run):
    replayed = subprocess.run(
        [sys.executable, "-m", "kedro", "loop", "replay", "--json"],
        cwd=long_run.project,
        env=os.environ | {"DO_NOT_TRACK": "1", "PYTHONPATH": str(long_run.project / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert replayed.returncode == 0, replayed.stderr
    decisions = json.loads(replayed.stdout)
    assert len(decisions) == CYCLES
    assert [decision["differences"] for decision in decisions] == [[]] * CYCLES
