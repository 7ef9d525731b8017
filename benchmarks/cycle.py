"""The whole cycle against LeAgents 0.0.5, on the same demonstrations, with the same policy, steps, and episodes.

LeAgents is driven by its own command line, in an environment of its own. A cycle is from the start of the process, or
from the end of the cycle before, to its own end; the demonstrations are there before.
"""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from benchmarks import small_act
from benchmarks.loop import (
    ENVIRON,
    ROOT,
    BenchmarkError,
    call,
    closed_rows,
    copy_project,
    run_pipeline,
    seconds_between_cycles,
    set_parameters,
)
from benchmarks.table import Row

LEAGENTS = "leagents==0.0.5"


@dataclass(frozen=True)
class Size:
    """How much a cycle does. LeAgents tries until it has ``harvested`` successes; ours as often, whatever succeeds."""

    tasks: tuple[str, ...]
    demonstrations_per_task: int
    steps: int
    episodes_per_task: int
    harvested: int
    tries_per_task: int

    @property
    def episodes(self) -> int:
        """Evaluated episodes, of all tasks."""
        return len(self.tasks) * self.episodes_per_task


FULL = Size(
    tasks=("reach-v3", "button-press-topdown-v3", "drawer-close-v3", "door-open-v3", "push-v3"),
    demonstrations_per_task=20,
    steps=1000,
    episodes_per_task=20,
    harvested=20,
    tries_per_task=8,
)
QUICK = Size(
    tasks=("reach-v3", "drawer-close-v3"),
    demonstrations_per_task=4,
    steps=60,
    episodes_per_task=2,
    harvested=2,
    tries_per_task=4,
)


@dataclass(frozen=True)
class Settings:
    """How LeAgents is set: arguments that it hands on to LeRobot's commands, and variables of their environment."""

    name: str
    title: str
    training: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    evaluation_batch_size: int = 10
    environ: tuple[tuple[str, str], ...] = ()


DEFAULTS = Settings("defaults", "LeAgents' defaults")
BEST = Settings(
    "best",
    "LeAgents' best settings",
    # Spawned workers, the default, import everything anew; more of them than cores only take turns.
    training=(f"--num_workers={min(os.cpu_count() or 1, 4)}", "--dataloader_multiprocessing_context=fork"),
    # Records the episodes instead of rendering ten of each task as videos.
    evaluation=("--eval.recording=true",),
    evaluation_batch_size=20,
    environ=(("OMP_NUM_THREADS", "1"),),
)


@dataclass(frozen=True)
class Cycle:
    """What one cycle took, and what it did."""

    seconds: float
    steps: int
    episodes: int
    harvested: int
    tries: int

    def __str__(self) -> str:
        return f"{self.steps} steps, {self.episodes} episodes, harvested {self.harvested} of {self.tries}"

    def is_fair_to(self, other: "Cycle") -> bool:
        """Whether this one did the work of ``other``; it may harvest more."""
        return (self.steps, self.episodes) == (other.steps, other.episodes) and self.harvested >= other.harvested


def rows(quick: bool) -> list[Row]:
    """Compare the first cycle, and at full size a later one; a small size informs, starting weighs too much in it.

    LeAgents' cycles take minutes, in which a machine's speed changes: ours run before and after them.
    """
    size = QUICK if quick else FULL
    limits = {BEST: (5.0, 8.0)} if quick else {DEFAULTS: (12.0, 20.0), BEST: (5.0, 8.0)}
    python = _leagents_python()
    table = []
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder, "project"), _parameters(size, [small_act.RUNG | {"steps": size.steps}]))
        run_pipeline(project, "seed")
        mix = next((project / "data" / "05_model_input" / "mix").glob("*/mix"))

        def ours(when: str) -> list[Cycle]:
            first, later = Path(folder, f"first {when}"), Path(folder, f"later {when}")
            cycles = [_first_cycle(shutil.copytree(project, first))]
            return cycles if quick else [*cycles, _later_cycle(shutil.copytree(project, later), size)]

        before = ours("before")
        for settings in limits:
            theirs = _their_cycles(python, Path(folder, settings.name), mix, size, settings, cycles=len(before))
            after = ours(f"after {settings.name}")
            for which, *mine, other, limit in zip(
                ("first", "later"), before, after, theirs, limits[settings], strict=False
            ):
                table.append(_row(f"whole cycle, {which}", size, mine, settings, other, None if quick else limit))
            before = after
    return table


def _row(step: str, size: Size, around: Sequence[Cycle], settings: Settings, theirs: Cycle, limit: float | None) -> Row:
    """Return the row that compares ours, the mean of the cycles before and after, with theirs.

    Its ratio is not a number, and misses every limit, where the work differs.
    """
    demonstrations = len(size.tasks) * size.demonstrations_per_task
    ours = replace(around[0], seconds=statistics.mean(cycle.seconds for cycle in around))
    fair = all(cycle.is_fair_to(theirs) for cycle in around)
    other = f"{theirs.harvested} of {theirs.tries}" if fair else f"OTHER WORK: {theirs}"
    return Row(
        step,
        f"{settings.title}; {demonstrations} demonstrations, {ours} / {other}",
        f"{ours.seconds:.1f} s",
        f"{theirs.seconds:.1f} s",
        theirs.seconds / ours.seconds if fair or limit is None else math.nan,
        ">=",
        limit,
    )


def _first_cycle(project: Path) -> Cycle:
    started = run_pipeline(project, "cycle")
    row = closed_rows(project)[0]
    return _our_cycle(row, (datetime.fromisoformat(row["at"]) - started).total_seconds())


def _later_cycle(project: Path, size: Size) -> Cycle:
    """Run the cycle that climbs to the second rung, in a process that has run two cycles of the first.

    It promotes its candidate, and so harvests, because the first rung has hardly been trained: its first cycle blesses
    that, its second measures it once more and finds nothing so much better.
    """
    set_parameters(project, _parameters(size, [small_act.RUNG | {"steps": steps} for steps in (10, size.steps)]))

    def stop_after_third(pid: int, row: dict[str, Any]) -> None:
        if row["cycle"] == 3:
            (project / "data" / "STOP").touch()

    run_pipeline(project, "cycle", stop_after_third)
    return _our_cycle(closed_rows(project)[-1], seconds_between_cycles(project)[-1])


def _our_cycle(row: dict[str, Any], seconds: float) -> Cycle:
    record = row["record"]
    return Cycle(
        seconds=seconds,
        steps=record["plan"]["training_steps"],
        episodes=record["evaluated_episodes"],
        harvested=record["new_episodes"],
        tries=record["harvested_attempts"],
    )


def _parameters(size: Size, ladder: list[dict[str, Any]]) -> dict[str, Any]:
    """Return parameters of a loop that blesses its first candidate, and climbs after every other that fails."""
    return {
        "suite": {"tasks": list(size.tasks)},
        "demonstrations": {"initial_per_task": size.demonstrations_per_task, "growth_per_task": 0, "amplify": None},
        "training": small_act.SETTINGS | {"ladder": ladder},
        "gating": {
            "max_pairs": size.episodes,
            "look_every": size.episodes,
            "alpha_promote": 1e-5,
            "alpha_rollback": 1e-50,
            "task_veto_alpha": 1e-50,
            "min_effect": 0.99,
            "plateau_cycles": 1,
            "floor": 0.0,
            "target": None,
        },
        "harvest": {"attempts_per_task": size.tries_per_task, "keep_per_task": size.tries_per_task},
        "loop": {"max_cycles": 2 if len(ladder) > 1 else 1, "on_escalate": "climb"},
    }


def _leagents_python() -> Path:
    """Install LeAgents, beside the versions that the project itself is pinned to, and return its interpreter."""
    environment = ROOT / ".tools" / "leagents"
    python = environment / "bin" / "python"
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    call([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(environment)])
    lerobot = ["lerobot[training,evaluation,metaworld]", "mujoco", "--constraints", str(ROOT / "constraints.txt")]
    call([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), LEAGENTS, *lerobot])
    return python


def _their_cycles(python: Path, folder: Path, mix: Path, size: Size, settings: Settings, cycles: int) -> list[Cycle]:
    """Run LeAgents for a number of cycles, each of which trains on from the last and harvests.

    Raises:
        BenchmarkError: LeAgents failed.
    """
    home = folder / "lerobot" / "local"
    home.mkdir(parents=True)
    (home / "mix").symlink_to(mix)
    (folder / "constitution.yaml").write_text("{}")
    (folder / "config.yaml").write_text(yaml.safe_dump(_their_config(size, settings, cycles)))
    environ = ENVIRON | dict(settings.environ) | {"HF_LEROBOT_HOME": str(home.parent), "PYTHONPATH": str(ROOT / "src")}
    if sys.platform == "linux":
        environ.setdefault("MUJOCO_GL", "egl")  # to render the videos without a screen
    driver = ROOT / "benchmarks" / "run_leagents.py"
    command = [str(python), "-P", str(driver), "run", "-c", "config.yaml", "--run-id", "run"]
    started = time.time()
    with (folder / "output.log").open("w") as log:
        completed = subprocess.run(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    events = [json.loads(line) for line in (folder / "runs" / "run" / "events.jsonl").read_text().splitlines()]
    if completed.returncode:
        logs = sorted(folder.rglob("*.log"), key=lambda path: path.stat().st_mtime)
        raise BenchmarkError(f"{settings.title} failed:\n" + "\n".join(path.read_text()[-1500:] for path in logs[-2:]))
    ends = [event["ts"] for event in events if event["kind"] in ("cycle_started", "run_finished")][1:]
    return [
        _their_cycle(folder / "runs" / "run" / f"cycle_{number}", events, number, end - start)
        for number, (start, end) in enumerate(pairwise([started, *ends]))
    ]


def _their_cycle(folder: Path, events: list[dict[str, Any]], number: int, seconds: float) -> Cycle:
    """Read what a cycle of LeAgents did from what its commands left."""
    trained = json.loads(
        (folder / "train" / "checkpoints" / "last" / "training_state" / "training_step.json").read_text()
    )
    evaluated = json.loads((folder / "eval" / "eval_info.json").read_text())
    harvests = [
        event["payload"] for event in events if event["kind"] == "rollouts_collected" and event["cycle"] == number
    ]
    harvest = harvests[0] if harvests else {"kept": 0, "attempts": 0}
    return Cycle(
        seconds=seconds,
        steps=trained["step"],
        episodes=evaluated["overall"]["n_episodes"],
        harvested=harvest["kept"],
        tries=harvest["attempts"],
    )


def _their_config(size: Size, settings: Settings, cycles: int) -> dict[str, Any]:
    policy = [f"--policy.{name}={value}" for name, value in small_act.RUNG["options"].items()]
    return {
        "run_name": "cycle",
        "workdir": "runs",
        "seed_dataset": "local/mix",
        "knowledge": {"root": "knowledge"},
        "constitution": "constitution.yaml",
        "policy_ladder": [{"name": "act"}],
        "budgets": {"max_cycles": cycles},
        "thresholds": {"promote_delta": -1.0},
        "train": {"steps": size.steps, "extra_args": [*policy, "--policy.device=cpu", *settings.training]},
        "eval": {
            "env_type": "metaworld_state",
            "task_suite": ",".join(size.tasks),
            "n_episodes": size.episodes_per_task,
            "batch_size": settings.evaluation_batch_size,
            "extra_args": [
                "--env.discover_packages_path=leagents_kedro.simulation",
                "--policy.device=cpu",
                *settings.evaluation,
            ],
        },
        "improve": {"enabled": True, "episodes": size.harvested, "device": "cpu"},
    }
