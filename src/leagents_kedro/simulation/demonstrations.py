"""Demonstrations by the scripted experts of an environment, or by one demonstration that is replayed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.policies.actor import Actor, PolicyFile
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.corrections import Correction, Student
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.replays import Replay, replaying
from leagents_kedro.simulation.rollouts import EpisodeRun


def demonstrate(
    trial: Trial,
    pool: EnvironmentPool,
    action_noise: float,
    keep_episode: bool = True,
    actor_of: Callable[[PolicyFile], Actor] = PolicyFile.opened,
) -> tuple[Outcome, Episode | None]:
    """Return what came of an expert's attempt, or of a replay; with its episode if it succeeded and is to be kept.

    The seed draws the placement as well as Gaussian noise of standard deviation ``action_noise`` on the actions, which
    are clipped to [-1, 1]. An expert's are recorded as applied. Of a replay noise spares the gripper, and what is
    recorded are the actions without it, so that a policy learns to come back: Laskey et al. 2017, arXiv:1703.09327.
    So it is in a `Correction`, in whose turns the policy acts without noise: recorded is what its teacher would do.

    Args:
        actor_of: Opens the policy of a correction.

    Raises:
        ParameterError: The environment has no experts, or does not tell of hand and frames.
        CheckpointError: The policy is no LeRobot checkpoint.
        SimulationError: The policy or the environment failed; names task, seed, and step.
    """
    correction = trial if isinstance(trial, Correction) else None
    taught = correction.taught if correction else trial
    replay = taught if isinstance(taught, Replay) else None
    student = Student(correction, actor_of(correction.policy), pool) if correction else None
    led = (lambda: student.acts) if student else (lambda: False)
    teacher = replaying(replay, pool.environment, led) if replay else pool.environment.expert(trial.task)
    noise = np.random.default_rng(trial.seed)
    run = EpisodeRun(trial, pool, keep_episode)
    try:
        while not run.ended:
            action = teacher(run.observation)
            drawn = noise.normal(0, action_noise, action.shape)
            if replay:
                drawn[3:] = 0
            acted = student.action(run) if student else None
            applied = (action + drawn).clip(-1, 1).astype(np.float32) if acted is None else acted
            run.apply([applied], label=action.clip(-1, 1).astype(np.float32) if replay or student else None)
    finally:
        run.leave()
    outcome, episode = run.result()
    if not episode or not outcome.success:
        return outcome, None
    return outcome, replace(episode, provenance=trial.provenance)
