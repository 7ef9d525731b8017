"""From one demonstration a task to a policy: demonstrations made of few, and the loop until its policy succeeds."""

import math
import tempfile
import time
from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from benchmarks import small_act
from benchmarks.loop import ROOT, base_parameters, closed_rows, copy_project, run_pipeline
from benchmarks.table import Row, alternated
from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.simulation.collection import collect_episodes
from leagents_kedro.simulation.suites import resolve_suite

TWO_TASKS: dict[str, Any] = {"tasks": ["reach-v3", "drawer-close-v3"]}
BRIEFLY: dict[str, Any] = {
    "suite": TWO_TASKS,
    "demonstrations": {"initial_per_task": 5},
    "gating": {"max_pairs": 20, "look_every": 10},
}
TARGETS = (0.90, 0.95, 0.99)
AS_THEY_ARE: dict[str, Any] = {
    "demonstrations": {"amplify": None, "initial_per_task": 1, "growth_per_task": 0, "action_noise": 0.0}
}
OLD_DEFAULT: dict[str, Any] = {
    "demonstrations": {
        "amplify": None,
        "initial_per_task": 4,
        "growth_per_task": 4,
        "cap_per_task": 40,
        "action_noise": 0.1,
    },
    "training": small_act.SETTINGS | {"ladder": [small_act.RUNG, small_act.RUNG | {"steps": 1500}]},
}
"""Several cycles from four of the experts' demonstrations, with a small ACT at a constant learning rate."""


@dataclass(frozen=True)
class Learned:
    """The success rate of a candidate, and the minutes from the start of the process to the end of the last cycle."""

    rate: float
    minutes: float

    def __str__(self) -> str:
        return f"{self.rate:.1%} in {self.minutes:.1f} min"


def generation(quick: bool) -> list[Row]:
    """Compare demonstrations made of one a task with the experts' own, and two processes with one."""
    wanted = 5 if quick else 50
    with tempfile.TemporaryDirectory() as folder:
        collect = partial(_collect, TWO_TASKS if quick else {}, Path(folder), wanted)
        searched, _ = _processor_seconds(lambda: collect(cycle=0))
        again, made = _processor_seconds(lambda: collect(cycle=0))
        experts, demonstrated = _processor_seconds(lambda: collect(cycle=0, amplify=None))
        collect(cycle=1, workers=2)  # starts the workers
        two, one = alternated([partial(collect, cycle=1, workers=workers) for workers in (2, 1)], 1 if quick else 3)
    ours, others = again / made, experts / demonstrated
    kept = f"{made} successes"
    return [
        Row("generation", f"{kept}, CPU time of each; an expert's", _ms(ours), _ms(others), ours / others),
        Row("generation", f"{kept}, search included; without", f"{searched:.1f} s", f"{again:.1f} s", searched / again),
        Row("generation", f"{kept}, 2 processes: one", f"{two:.2f} s", f"{one:.2f} s", one / two, ">="),
    ]


def learning(quick: bool) -> list[Row]:
    """Run the default loop, and the same with shorter trainings, beside plain cloning and the loop's old default.

    A ``quick`` one is of two tasks; else there is one of all 50, too.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if quick:
            ours, plain = (
                _learned(place / name, _steps(300), BRIEFLY, more)
                for name, more in (("made", {}), ("given", AS_THEY_ARE))
            )
            return [_against("the same training on the demonstrations alone", ours, plain)]
        loops = [_learned(place / f"{number} steps", _steps(number)) for number in (1_000, 3_000, 10_000)]
        plain = _learned(place / "plain", AS_THEY_ARE)
        old = _learned(place / "old", OLD_DEFAULT, cycles=5)
        everything = _learned(place / "mt50", _of_environment("mt50"))
    return [
        *(_target_row(target, loops, old) for target in TARGETS),
        _against("the same training on the demonstrations alone", loops[-1], plain),
        _against("the loop's old default", loops[-1], old),
        Row("learning", "all 50 tasks; half an hour", str(everything), "30 min", everything.minutes / 30),
    ]


def _against(measured: str, ours: Learned, other: Learned) -> Row:
    return Row("learning", measured, str(ours), str(other), ours.rate / other.rate if other.rate else math.inf, ">=")


def _target_row(target: float, ours: list[Learned], old: Learned) -> Row:
    """Return in how many minutes the shortest loop that reaches ``target`` does so."""
    reached = min((learned.minutes for learned in ours if learned.rate >= target), default=math.nan)
    theirs = old.minutes if old.rate >= target else math.inf
    return Row(
        "learning",
        f"success of {target:.0%}; the loop's old default",
        "not reached" if math.isnan(reached) else f"{reached:.1f} min",
        "not reached" if math.isinf(theirs) else f"{theirs:.1f} min",
        reached / theirs,
    )


def _collect(
    suite: dict[str, Any], recipes: Path, wanted: int, cycle: int, workers: int = 1, **demonstrations: Any
) -> int:
    """Collect ``wanted`` episodes a task, and return how many there are."""
    given = DemonstrationParams(**base_parameters("demonstrations") | demonstrations)
    evaluation = EvaluationParams(**base_parameters("evaluation") | {"workers": workers, "episode_timeout_s": None})
    constitution = Constitution(**yaml.safe_load((ROOT / "conf/base/constitution.yml").read_text()))
    resolved = resolve_suite(SuiteParams(**base_parameters("suite") | suite), evaluation, constitution)
    requests = dict.fromkeys(resolved.names, wanted)
    return len(collect_episodes(resolved, given, evaluation, requests, 0, cycle, constitution, recipes).episodes)


def _processor_seconds[Result](work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU time that ``work`` takes in this process, and its result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def _learned(project: Path, *parameters: dict[str, Any], cycles: int = 1) -> Learned:
    """Run the loop in a copy of the project, and return what its best candidate came to."""
    merged: Any = OmegaConf.to_container(OmegaConf.merge(*parameters, {"loop": {"max_cycles": cycles}}))
    started = run_pipeline(copy_project(project, merged), "cycle")
    closed = closed_rows(project)
    scores = [row["record"]["decision"]["evidence"]["candidate"] for row in closed]
    took = datetime.fromisoformat(closed[-1]["at"]) - started
    return Learned(max(score["successes"] / score["episodes"] for score in scores), took.total_seconds() / 60)


def _steps(number: int) -> dict[str, Any]:
    """Return the default ladder, its first rung trained for ``number`` steps."""
    first, *others = base_parameters("training")["ladder"]
    return {"training": {"ladder": [first | {"steps": number}, *others]}}


def _of_environment(name: str) -> dict[str, Any]:
    """Return the parameters that an environment of the configuration changes."""
    files = (ROOT / "conf" / name).glob("parameters*.yml")
    return dict(ChainMap(*(yaml.safe_load(file.read_text()) for file in files)))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"
