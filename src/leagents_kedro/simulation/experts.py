"""Demonstrations by MetaWorld's scripted experts."""

import warnings
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import SimulationError
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import EpisodeRun, Job


def collect_demonstrations(
    requests: dict[str, int],
    attempt: Callable[[Sequence[Job]], list[tuple[Outcome, Episode | None]]],
    *,
    seed_names: tuple[str | int, ...],
    max_attempts_factor: int,
) -> list[Episode]:
    """Return as many successful episodes of each task as ``requests`` says, task by task.

    The i-th attempt at a task has the seed ``derive_seed("demonstration", *seed_names, task, index=i)``. Tasks that
    miss successes are attempted as many times again, all together, so that no attempt is made in vain.

    Args:
        attempt: Returns what came of each job, with its episode if it succeeded.

    Raises:
        SimulationError: ``max_attempts_factor`` attempts an episode did not give enough successes of a task.
    """
    found: dict[str, list[Episode]] = {task: [] for task in requests}
    unused = {task: iter(range(count * max_attempts_factor)) for task, count in requests.items()}
    while True:
        jobs = [
            Job(task, derive_seed("demonstration", *seed_names, task, index=index))
            for task, count in requests.items()
            for index in islice(unused[task], count - len(found[task]))
        ]
        if not jobs:
            break
        for job, (_, episode) in zip(jobs, attempt(jobs), strict=True):
            if episode:
                found[job.task].append(episode)
    for task, count in requests.items():
        if len(found[task]) < count:
            raise SimulationError(
                f"task {task}: {len(found[task])} of {count * max_attempts_factor} attempts of the expert succeeded, "
                f"expected {count}; lower action_noise or allow longer episodes"
            )
    return [episode for episodes in found.values() for episode in episodes]


def demonstrate(job: Job, pool: EnvironmentPool, action_noise: float) -> tuple[Outcome, Episode | None]:
    """Return what came of an expert's attempt, with its episode if it succeeded.

    The seed draws the placement as well as Gaussian noise of standard deviation ``action_noise`` on the expert's
    actions, which are clipped to [-1, 1] and recorded as applied.

    Raises:
        SimulationError: The environment failed; names task, seed, and step.
    """
    from lerobot.envs.metaworld import TASK_POLICY_MAPPING

    from leagents_kedro.simulation.metaworld_state import METAWORLD_DIM

    expert = TASK_POLICY_MAPPING[job.task]()
    noise = np.random.default_rng(job.seed)
    run = EpisodeRun(job, pool, keep_episode=True)
    try:
        with warnings.catch_warnings():
            # The experts ask for more than the hand can do in a step, and MetaWorld warns of it.
            warnings.filterwarnings("ignore", message="Constant")
            while not run.ended:
                action = expert.get_action(run.observation["environment_state"][:METAWORLD_DIM].astype(np.float64))
                action = (action + noise.normal(0, action_noise, action.shape)).clip(-1, 1).astype(np.float32)
                run.apply([action])
    finally:
        run.leave()
    outcome, episode = run.result()
    return outcome, episode if outcome.success else None
