"""The policy and its teacher act in turn; the teacher says what is right in every state."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import CheckpointError
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.parameters.demonstrations import Corrections
from leagents_kedro.policies.actor import Actor, PolicyFile
from leagents_kedro.records import AmplificationPlan
from leagents_kedro.simulation.corrections import Correction
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.environments import Trial, environment_of
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.replays import Replay, replaying
from leagents_kedro.simulation.rollouts import roll_out
from leagents_kedro.simulation.simulator import Simulator
from leagents_kedro.simulation.sources import GOAL, Source

REACH = "reach-v3"
OPTIONS = {"episode_length": 120}
NOISE = 0.2
STATE = "observation.environment_state"


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool("metaworld_state", OPTIONS) as pool:
        yield pool


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> PolicyFile:
    return PolicyFile(checkpoint, "small", "cpu", 1)


@pytest.fixture(scope="module")
def replay(pool: EnvironmentPool) -> Replay:
    """An expert's episode that is to be replayed in another scene."""
    _, episode = demonstrate(Trial(REACH, derive_seed("demonstration", "a", index=0)), pool, 0)
    assert episode
    observations = [{"environment_state": state} for state in episode.columns[STATE]]
    source = Source.of(REACH, observations, episode.columns["action"], environment_of("metaworld_state"))
    plan = AmplificationPlan(frames=(GOAL,))
    return Replay(REACH, derive_seed("demonstration", "b", index=0), source, plan, json.dumps({"recipe": "r"}))


def corrected(taught: Trial, policy: PolicyFile, share: float = 0.5, block_steps: int = 5) -> Correction:
    return Correction.of(taught, policy, Corrections(share=share, block_steps=block_steps))


def episode_of(trial: Trial, pool: EnvironmentPool) -> Episode:
    outcome, episode = demonstrate(trial, pool, NOISE)
    assert outcome.success
    assert episode
    return episode


def acting(seed: int, steps: int) -> np.ndarray:
    """Return in which steps it is the policy's turn, in blocks of 5 with probability 0.5."""
    draws = np.random.default_rng((seed, 1))
    return np.repeat([draws.random() < 0.5 for _ in range(steps)], 5)[:steps]


def same(one: Episode, other: Episode) -> None:
    assert one.columns.keys() == other.columns.keys()
    for key, values in one.columns.items():
        np.testing.assert_array_equal(values, other.columns[key])


def test_where_the_policy_never_acts_the_episode_is_the_replay(pool, policy, replay):
    same(episode_of(corrected(replay, policy, share=0), pool), episode_of(replay, pool))


def test_an_expert_teaches_too_and_labels_are_without_its_noise(pool, policy):
    trial = Trial(REACH, derive_seed("demonstration", "c", index=0))
    given, taught = episode_of(trial, pool), episode_of(corrected(trial, policy, share=0), pool)
    np.testing.assert_array_equal(given.columns[STATE], taught.columns[STATE])
    assert np.abs(given.columns["action"] - taught.columns["action"]).max() > NOISE / 2
    expert = pool.environment.expert(REACH)
    right = [expert({"environment_state": state}) for state in taught.columns[STATE]]
    np.testing.assert_array_equal(taught.columns["action"], np.clip(right, -1, 1).astype(np.float32))


@pytest.mark.parametrize("block_steps", [1, 5, 7])
def test_where_the_policy_always_acts_it_acts_as_alone(pool, policy, replay, block_steps):
    trials = [replace(replay, seed=derive_seed("demonstration", "d", index=index)) for index in range(3)]
    alone = [outcome for outcome, _ in roll_out(policy.opened(), trials, pool, slots=3)]
    assert [demonstrate(corrected(trial, policy, 1, block_steps), pool, NOISE)[0] for trial in trials] == alone


def test_the_teacher_labels_every_state_and_both_act(pool, policy, replay):
    episode = episode_of(corrected(replay, policy), pool)
    states = episode.columns[STATE]
    turns = iter(np.append(False, acting(replay.seed, len(states))))
    teacher = replaying(replay, pool.environment, lambda: bool(next(turns)))
    right = np.array([teacher({"environment_state": state}) for state in states], np.float32)
    np.testing.assert_array_equal(episode.columns["action"], right)
    alone = episode_of(replay, pool)
    agreed = next(
        step
        for step, states in enumerate(zip(*(each.columns[STATE] for each in (episode, alone)), strict=False))
        if not np.array_equal(*states)
    )
    assert (agreed - 1) % 5 == 0, "the first state that differs is one step into a block"


def test_what_is_kept_says_what_took_part(pool, policy, replay):
    assert json.loads(episode_of(corrected(replay, policy), pool).provenance) == {"recipe": "r", "policy": "small"}
    trial = Trial(REACH, derive_seed("demonstration", "c", index=0))
    assert json.loads(corrected(trial, policy).provenance) == {"seed": trial.seed, "policy": "small"}
    assert episode_of(trial, pool).provenance == ""


class Planner:
    """A policy without weights that counts when it is asked."""

    def __init__(self, chunk: int, chunked: bool = True):
        self.chunked, self.asked, self.resets, self._chunk = chunked, [], 0, chunk

    def bind(self, environment: object) -> None:
        """It needs no processors."""

    def reset(self) -> None:
        self.resets += 1

    def predict(self, observations, sentences, seeds):
        self.asked.append(seeds[0] & 0xFFFFF)
        return np.zeros((1, self._chunk, 4), np.float32)


@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_it_plans_anew_where_the_teacher_acted_and_where_nothing_is_left(pool, policy, replay, chunk):
    actor = Planner(chunk)
    outcome, _ = demonstrate(corrected(replay, policy), pool, NOISE, actor_of=lambda _: actor)
    turns = acting(replay.seed, outcome.length)
    expected, left = [], 0
    for step, mine in enumerate(turns):
        left = left if mine else 0
        if mine and not left:
            expected.append(step)
            left = chunk
        left -= bool(mine)
    assert actor.asked == expected
    assert actor.resets == np.sum(turns & ~np.append(False, turns[:-1]))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_corrections_depend_on_nothing_beside_their_seed(policy, replay, workers):
    trials = [corrected(replace(replay, seed=derive_seed("demonstration", "e", index=i)), policy) for i in range(3)]
    here = Simulator("metaworld_state", OPTIONS, 1, None).demonstrate(trials, action_noise=NOISE)
    again = Simulator("metaworld_state", OPTIONS, workers, None).demonstrate(trials[::-1], action_noise=NOISE)[::-1]
    for (one, episode), (other, repeated) in zip(here, again, strict=True):
        assert one == other
        assert (episode is None) == (repeated is None)
        if episode and repeated:
            same(episode, repeated)
            assert episode.provenance == repeated.provenance


def test_what_is_no_checkpoint_is_named(pool, replay, tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        demonstrate(corrected(replay, PolicyFile(tmp_path, "none", "cpu", 1)), pool, NOISE)


def test_the_actor_is_asked_for_once(pool, policy, replay):
    asked: list[PolicyFile] = []

    def actor_of(wanted: PolicyFile) -> Actor:
        asked.append(wanted)
        return wanted.opened()

    demonstrate(corrected(replay, policy), pool, NOISE, actor_of=actor_of)
    demonstrate(replay, pool, NOISE, actor_of=actor_of)
    assert asked == [policy]
