"""MetaWorld's scripted experts."""

import warnings

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import EpisodeRun, Trial


def demonstrate(trial: Trial, pool: EnvironmentPool, action_noise: float) -> tuple[Outcome, Episode | None]:
    """Return what came of an expert's attempt, with its episode if it succeeded.

    The seed draws the placement as well as Gaussian noise of standard deviation ``action_noise`` on the expert's
    actions, which are clipped to [-1, 1] and recorded as applied.

    Raises:
        SimulationError: The environment failed; names task, seed, and step.
    """
    from lerobot.envs.metaworld import TASK_POLICY_MAPPING

    from leagents_kedro.simulation.metaworld.config import METAWORLD_DIM

    expert = TASK_POLICY_MAPPING[trial.task]()
    noise = np.random.default_rng(trial.seed)
    run = EpisodeRun(trial, pool, keep_episode=True)
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
