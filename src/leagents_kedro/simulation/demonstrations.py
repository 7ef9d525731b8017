"""Demonstrations by the scripted experts of an environment."""

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import EpisodeRun


def demonstrate(trial: Trial, pool: EnvironmentPool, action_noise: float) -> tuple[Outcome, Episode | None]:
    """Return what came of an expert's attempt, with its episode if it succeeded.

    The seed draws the placement as well as Gaussian noise of standard deviation ``action_noise`` on the expert's
    actions, which are clipped to [-1, 1] and recorded as applied.

    Raises:
        ParameterError: The environment has no experts.
        SimulationError: The environment failed; names task, seed, and step.
    """
    expert = pool.environment.expert(trial.task)
    noise = np.random.default_rng(trial.seed)
    run = EpisodeRun(trial, pool, keep_episode=True)
    try:
        while not run.ended:
            action = expert(run.observation)
            action = (action + noise.normal(0, action_noise, action.shape)).clip(-1, 1).astype(np.float32)
            run.apply([action])
    finally:
        run.leave()
    outcome, episode = run.result()
    return outcome, episode if outcome.success else None
