"""Demonstrations by MetaWorld's scripted experts."""

from collections.abc import Callable, Sequence
from itertools import islice

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import SimulationError
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.rollouts import Trial


def collect_demonstrations(
    requests: dict[str, int],
    attempt: Callable[[Sequence[Trial]], list[tuple[Outcome, Episode | None]]],
    *,
    seed_names: tuple[str | int, ...],
    max_attempts_factor: int,
) -> list[Episode]:
    """Return as many successful episodes of each task as ``requests`` says, task by task.

    The i-th attempt at a task has the seed ``derive_seed("demonstration", *seed_names, task, index=i)``. Tasks that
    miss successes are attempted as many times again, all together, so that no attempt is made in vain.

    Args:
        attempt: Returns what came of each trial, with its episode if it succeeded.

    Raises:
        SimulationError: ``max_attempts_factor`` attempts an episode did not give enough successes of a task.
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
            raise SimulationError(
                f"task {task}: {len(found[task])} of {count * max_attempts_factor} attempts of the expert succeeded, "
                f"expected {count}; lower action_noise or allow longer episodes"
            )
    return [episode for episodes in found.values() for episode in episodes]
