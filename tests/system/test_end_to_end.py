"""The real loop in a real project: experts, training, physics, files; undisturbed, and killed at random moments."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.projects import copy_project

SMALL = """
suite: {tasks: [reach-v3, drawer-close-v3], options: {episode_length: 90}}
demonstrations: {amplify: null, initial_per_task: 2, growth_per_task: 1, allocation: uniform}
training:
  batch_size: 64
  save_every_steps: 10
  ladder:
    - policy_type: act
      steps: 60
      pretrained_path: null
      pretrained_revision: null
      options: {chunk_size: 10, n_action_steps: 10, dim_model: 32, n_heads: 2, dim_feedforward: 64,
                n_encoder_layers: 1, n_vae_encoder_layers: 1, latent_dim: 4, optimizer_lr: 1.0e-3}
gating: {max_pairs: 16, look_every: 4, floor: 0.0}
harvest: {attempts_per_task: 1}
loop: {max_cycles: 2}
"""
pytestmark = pytest.mark.slow  # the quick suite's real loop, and its kill, are in test_crash.py
COMMAND = [sys.executable, "-m", "kedro", "run", "--pipelines=cycle"]


@pytest.fixture(scope="module")
def environ():
    return os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}


def run(project: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND[:3], *(arguments or COMMAND[3:])]
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False, timeout=280)


def story(project: Path) -> list[dict]:
    """What the ledger says, without times, run ids, and the cost of interrupted attempts."""
    rows = [json.loads(line) for line in (project / "data" / "ledger.jsonl").read_text().splitlines()]
    return [
        {"event": row["event"], "cycle": row["cycle"], "params": row.get("params"), "record": row.get("record")}
        for row in rows
        if row["event"] not in {"charged", "resumed", "seed"}
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, environ):
    project = copy_project(tmp_path_factory.mktemp("undisturbed") / "project", SMALL, with_code=True)
    (home := project.parent / "home").mkdir()
    at_home = {name: value for name, value in environ.items() if not name.startswith(("HF_H", "XDG_"))}
    started = time.monotonic()
    completed = run(project, at_home | {"HF_HUB_OFFLINE": "1", "HOME": str(home)})
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return project, completed, time.monotonic() - started


def test_the_plain_command_seeds_and_runs_cycles_until_the_budget_is_spent(undisturbed):
    project, completed, _ = undisturbed
    assert [row["event"] for row in story(project)] == ["opened", "closed"] * 2
    assert "loop.max_cycles=2" in " ".join(completed.stdout.split())
    assert len(list((project / "data" / "05_model_input" / "mix").glob("*/mix"))) == 3


def test_nothing_lies_outside_of_the_project(undisturbed):
    project, _, _ = undisturbed
    assert list((project.parent / "home").rglob("*")) == []


def test_lerobot_opens_what_the_loop_wrote(undisturbed):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.policies.act.modeling_act import ACTPolicy

    project, _, _ = undisturbed
    newest_mix = max((project / "data" / "05_model_input" / "mix").glob("*/mix"))
    dataset = LeRobotDataset("local/mix", root=newest_mix)
    assert {dataset[index]["episode_index"].item() for index in range(len(dataset))} == set(range(dataset.num_episodes))
    newest_candidate = max((project / "data" / "06_models" / "candidate").glob("*/candidate"))
    assert ACTPolicy.from_pretrained(newest_candidate / "pretrained_model").config.chunk_size == 10


def test_a_stage_runs_alone_and_once_as_in_every_kedro_project(undisturbed, environ):
    project, _, _ = undisturbed
    before = story(project)
    completed = run(project, environ, "run", "--pipelines=gating")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    completed = run(project, environ, "run", "--from-nodes=distil_lessons")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert story(project) == before


def kill_at_random_moments(project: Path, environ: dict[str, str], kills: int, duration_s: float) -> int:
    """Run the loop, killing its whole process group ``kills`` times; return how many kills hit it alive."""
    moments = random.Random(0)
    hits = 0
    for _ in range(kills):
        process = subprocess.Popen(
            COMMAND,
            cwd=project,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(moments.uniform(0.1, 0.6) * duration_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            hits += 1
    completed = run(project, environ)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return hits


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [2, 10])
def test_a_loop_killed_at_random_moments_tells_the_same_story(undisturbed, environ, tmp_path, kills):
    project, _, duration_s = undisturbed
    killed = copy_project(tmp_path / "project", SMALL, with_code=True)
    assert kill_at_random_moments(killed, environ, kills, duration_s * 0.8) >= 1
    assert story(killed) == story(project)
    events = [json.loads(line) for line in (killed / "data" / "events.jsonl").read_text().splitlines()]
    trained = [row["run_id"] for row in events if row.get("node") == "train_candidate" and row["event"] == "finished"]
    assert len(trained) == len(set(trained)), "no finished training is repeated"
