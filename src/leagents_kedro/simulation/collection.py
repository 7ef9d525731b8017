"""Successful episodes of experts, as many as are asked for."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.episodes.shards import Episode, NewEpisodes
from leagents_kedro.errors import SimulationError
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.records import Outcome, Suite
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.simulator import simulator

logger = logging.getLogger(__name__)


def collect_episodes(
    suite: Suite,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    requests: dict[str, int],
    run_seed: int,
    cycle: int,
    constitution: Constitution,
    *,
    demands_all: bool = True,
) -> NewEpisodes:
    """Return ``requests`` successful expert episodes by task, on seeds that belong to ``cycle`` alone.

    Unless it ``demands_all``, there are fewer where experts do not succeed often enough.

    Raises:
        ConstitutionError: The attempts, or the environment, are beyond the limits.
        ParameterError: The environment has no experts.
        SimulationError: An expert does not succeed often enough, or an environment failed.
    """
    total = sum(requests.values())
    require(constitution, simulation_command(suite, total * demonstrations.max_attempts_factor))
    with progress_bar("collect", total, "episode") as show:
        episodes = successful_episodes(
            requests,
            partial(
                simulator(suite, evaluation).demonstrate,
                action_noise=demonstrations.action_noise,
                progress=lambda attempts, successes: show(successes, f"{attempts} attempts"),
            ),
            seed_names=(run_seed, cycle),
            max_attempts_factor=demonstrations.max_attempts_factor,
            demands_all=demands_all,
        )
    return NewEpisodes(tuple(episodes), suite.features, suite.fps, suite.environment)


def successful_episodes(
    requests: dict[str, int],
    attempt: Callable[[Sequence[Trial]], list[tuple[Outcome, Episode | None]]],
    *,
    seed_names: tuple[str | int, ...],
    max_attempts_factor: int,
    demands_all: bool = True,
) -> list[Episode]:
    """Return as many successful episodes of each task as ``requests`` says, task by task.

    The i-th attempt at a task has the seed ``derive_seed("demonstration", *seed_names, task, index=i)``. Tasks that
    miss successes are attempted as many times again, all together, so that no attempt is made in vain.

    Args:
        attempt: Returns what came of each trial, with its episode if it succeeded.

    Raises:
        SimulationError: ``max_attempts_factor`` attempts an episode did not give enough successes of a task, and it
            ``demands_all``; else a warning says so.
    """
    found: dict[str, list[Episode]] = {task: [] for task in requests}
    unused = {task: iter(range(count * max_attempts_factor)) for task, count in requests.items()}
    while True:
        trials = [
            Trial(task, derive_seed("demonstration", *seed_names, task, index=index))
            for task, count in requests.items()
            for index in islice(unused[task], count - len(found[task]))
        ]
        if not trials:
            break
        for trial, (_, episode) in zip(trials, attempt(trials), strict=True):
            if episode:
                found[trial.task].append(episode)
    for task, count in requests.items():
        if len(found[task]) < count:
            told = (
                f"task {task}: {len(found[task])} of {count * max_attempts_factor} attempts of the expert succeeded, "
                f"expected {count}; lower action_noise or allow longer episodes"
            )
            if demands_all:
                raise SimulationError(told)
            logger.warning("%s", told)
    return [episode for episodes in found.values() for episode in episodes]
