"""Demonstrations by MetaWorld's scripted experts."""

import warnings
from collections.abc import Callable

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import ParameterError, SimulationError
from leagents_kedro.seeds import derive_seed
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import Recording, begin_episode


def collect_demonstrations(
    requests: dict[str, int],
    pool: EnvironmentPool,
    *,
    seed_names: tuple[str | int, ...],
    first_index: dict[str, int],
    action_noise: float,
    max_attempts_factor: int,
    progress: Callable[[int, str], None] | None = None,
) -> list[Episode]:
    """Return as many successful episodes of each task as ``requests`` says, task by task.

    The i-th attempt at a task has the seed ``derive_seed("demonstration", *seed_names, task, index=i)``, counted from
    ``first_index``. It draws the placement as well as Gaussian noise of standard deviation ``action_noise`` on the
    expert's actions, which are clipped to [-1, 1] and recorded as applied. ``progress`` is told the number of episodes
    collected and the task after each.

    Raises:
        ParameterError: The environment has no experts.
        SimulationError: ``max_attempts_factor`` attempts an episode did not give enough successes of a task.
    """
    if pool.environment != "metaworld_state":
        raise ParameterError(
            f"environment {pool.environment!r} has no scripted experts; only metaworld_state has: import demonstrations"
        )
    episodes: list[Episode] = []
    for task, count in requests.items():
        wanted = len(episodes) + count
        attempts = count * max_attempts_factor
        first = first_index.get(task, 0)
        for index in range(first, first + attempts):
            if len(episodes) == wanted:
                break
            seed = derive_seed("demonstration", *seed_names, task, index=index)
            episode = _demonstrate(task, seed, pool, action_noise)
            if episode is not None:
                episodes.append(episode)
                if progress:
                    progress(len(episodes), task)
        if len(episodes) < wanted:
            raise SimulationError(
                f"task {task}: {count - wanted + len(episodes)} of {attempts} attempts of the expert succeeded, "
                f"expected {count}; lower action_noise ({action_noise}) or allow longer episodes"
            )
    return episodes


def _demonstrate(task: str, seed: int, pool: EnvironmentPool, action_noise: float) -> Episode | None:
    """Return the expert's episode, or None where it failed."""
    from lerobot.envs.metaworld import TASK_POLICY_MAPPING

    from leagents_kedro.simulation.metaworld_state import METAWORLD_DIM

    sentence = pool.sentence(task)
    env = pool.acquire(task)
    expert = TASK_POLICY_MAPPING[task]()
    noise = np.random.default_rng(seed)
    recording = Recording()
    observation = begin_episode(env, seed)
    ended = success = False
    with warnings.catch_warnings():
        # The experts ask for more than the hand can do in a step, and MetaWorld warns of it.
        warnings.filterwarnings("ignore", message="Constant")
        while not ended:
            action = expert.get_action(observation["environment_state"][:METAWORLD_DIM].astype(np.float64))
            action = (action + noise.normal(0, action_noise, action.shape)).clip(-1, 1).astype(np.float32)
            seen = observation
            observation, reward, terminated, truncated, info = env.step(action)
            success, ended = info["is_success"], terminated or truncated
            recording.add(seen, action, reward, success)
    pool.release(task, env)
    return recording.episode(sentence, env, pool.config(task)) if success else None
