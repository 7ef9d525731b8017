"""What the process itself costs: its start, a cycle's overhead over its nodes, and memory from cycle to cycle."""

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.clock import FILE
from benchmarks.history import lengthen
from benchmarks.loop import (
    BenchmarkError,
    call,
    closed_rows,
    copy_project,
    run_pipeline,
    seconds_between_cycles,
    set_parameters,
)
from benchmarks.table import Row, alternated

START_LIMIT_S = 3.0
OVERHEAD_LIMIT_S = 0.1
GROWTH_LIMIT_MB = 5.0
_WARM_UP_CYCLES = 5
_TINY = {
    "suite": {"tasks": ["reach-v3", "drawer-close-v3"], "options": {"episode_length": 90}},
    "demonstrations": {"amplify": None, "initial_per_task": 2, "growth_per_task": 1, "allocation": "uniform"},
    "training": {
        "ladder": [
            {
                "policy_type": "act",
                "steps": 10,
                "pretrained_path": None,
                "pretrained_revision": None,
                "options": {
                    "chunk_size": 10,
                    "n_action_steps": 10,
                    "dim_model": 32,
                    "n_heads": 2,
                    "dim_feedforward": 64,
                    "n_encoder_layers": 1,
                    "n_vae_encoder_layers": 1,
                    "latent_dim": 4,
                },
            }
        ]
    },
    "gating": {"max_pairs": 4, "look_every": 2, "floor": 0.0, "target": None, "plateau_cycles": 1000},
    "harvest": {"attempts_per_task": 1},
}


def start(quick: bool) -> list[Row]:
    """Time ``kedro registry list``, which must not load torch, beside the start of one LeRobot command."""
    listing = [sys.executable, "-m", "kedro", "registry", "list"]
    lerobot = [str(Path(sys.executable).with_name("lerobot-train")), "--help"]
    traced = call([listing[0], "-X", "importtime", *listing[1:]])
    if any(line.rpartition("|")[2].strip() == "torch" for line in traced.splitlines()):
        raise BenchmarkError("kedro registry list loads torch")
    ours, theirs = alternated([lambda: call(listing), lambda: call(lerobot)], repeats=1 if quick else 5)
    step, measured = "process start", "kedro registry list, without torch"
    return [
        Row(step, f"{measured} / limit", f"{ours:.2f} s", f"{START_LIMIT_S:.0f} s", ours / START_LIMIT_S, "<=", 1.0),
        Row(step, f"{measured} / lerobot-train --help", f"{ours:.2f} s", f"{theirs:.2f} s", ours / theirs),
    ]


def loop(quick: bool) -> list[Row]:
    """Time what a cycle costs beside its nodes, and weigh the processes after each, in a real loop of tiny cycles."""
    cycles = 14 if quick else 30
    resident: list[float] = []

    def weigh(pid: int, row: dict[str, Any]) -> None:
        if row["event"] == "closed" and psutil.pid_exists(pid):
            driver = psutil.Process(pid)
            family = [driver, *driver.children(recursive=True)]
            resident.append(sum(process.memory_info().rss for process in family) / 1e6)

    with tempfile.TemporaryDirectory() as folder:
        project = _tiny_project(Path(folder, "tiny"), cycles)
        run_pipeline(project, "cycle", weigh)
        own, files = _overheads(project, cycles - 1)
    growth = float(np.polyfit(range(len(resident) - _WARM_UP_CYCLES), resident[_WARM_UP_CYCLES:], 1)[0])
    of_cycles = f"median of {cycles - 1} cycles"
    return [
        Row(
            "cycle overhead",
            f"whole cycle less its nodes' functions and datasets, {of_cycles} / limit",
            f"{own * 1000:.0f} ms",
            f"{OVERHEAD_LIMIT_S * 1000:.0f} ms",
            own / OVERHEAD_LIMIT_S,
            "<=",
            1.0,
        ),
        Row(
            "cycle overhead",
            f"with reading and saving of datasets, {of_cycles} / without",
            f"{files * 1000:.0f} ms",
            f"{own * 1000:.0f} ms",
            files / own,
        ),
        Row(
            "memory",
            f"growth of resident memory a cycle, workers included, cycles {_WARM_UP_CYCLES + 1} to {cycles} / limit",
            f"{growth:.2f} MB",
            f"{GROWTH_LIMIT_MB:.0f} MB",
            growth / GROWTH_LIMIT_MB,
            "<=",
            1.0,
        ),
    ]


def growth(quick: bool) -> list[Row]:
    """Count the CPU seconds of a cycle beside its nodes' functions after thousands of cycles, and in a fresh loop."""
    cycles, past = (6, 500) if quick else (20, 5000)
    with tempfile.TemporaryDirectory() as folder:
        project = _tiny_project(Path(folder, "tiny"), cycles)
        run_pipeline(project, "cycle")
        fresh = _processor_overhead(project, cycles)
        lengthen(project, past)
        set_parameters(project, _TINY | {"loop": {"max_cycles": 2 * cycles + past}})
        run_pipeline(project, "cycle")
        grown = _processor_overhead(project, cycles)
    measured = f"CPU time of a cycle beside its functions at {past} closed cycles, less that of a fresh loop / limit"
    return [
        Row(
            "growth",
            measured,
            f"{grown * 1000:.0f} - {fresh * 1000:.0f} ms",
            f"{OVERHEAD_LIMIT_S * 1000:.0f} ms",
            (grown - fresh) / OVERHEAD_LIMIT_S,
            "<=",
            1.0,
        )
    ]


def _tiny_project(folder: Path, cycles: int) -> Path:
    project = copy_project(folder, _TINY | {"loop": {"max_cycles": cycles}})
    with (project / "src" / "leagents_kedro" / "settings.py").open("a") as settings:
        settings.write("\nfrom benchmarks.clock import DatasetClock\n\nHOOKS = (*HOOKS, DatasetClock())\n")
    return project


def _overheads(project: Path, last: int) -> tuple[float, float]:
    """Return what the ``last`` cycles spend outside of their nodes' functions: without their datasets, and with them.

    Both are medians, in seconds.
    """
    functions = _seconds_by_run(project / "data" / "events.jsonl", "finished")
    datasets = _seconds_by_run(project / FILE)
    run_ids = [row["run_id"] for row in closed_rows(project)[-last:]]
    took = seconds_between_cycles(project)[-last:]
    with_datasets = [seconds - functions[run_id] for seconds, run_id in zip(took, run_ids, strict=True)]
    own = [seconds - datasets[run_id] for seconds, run_id in zip(with_datasets, run_ids, strict=True)]
    return statistics.median(own), statistics.median(with_datasets)


def _processor_overhead(project: Path, cycles: int) -> float:
    """Return what the driver's process spends on a cycle outside of nodes' functions: the median of the last ones.

    In CPU seconds, which other processes on the machine lengthen less than they do seconds.
    """
    rows = [json.loads(line) for line in (project / FILE).read_text().splitlines()[-cycles:]]
    return statistics.median(after["cpu"] - before["cpu"] - after["functions_cpu"] for before, after in pairwise(rows))


def _seconds_by_run(log: Path, event: str | None = None) -> dict[str, float]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for row in map(json.loads, log.read_text().splitlines()):
        if row.get("event") == event:
            seconds[row["run_id"]] += row["seconds"]
    return seconds
