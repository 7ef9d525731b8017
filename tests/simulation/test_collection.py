"""Demonstrations succeed, repeat, and come from seeds that are for demonstrations alone."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import SimulationError
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.collection import successful_episodes
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.pool import EnvironmentPool

SETTINGS = {"seed_names": (0,), "max_attempts_factor": 3}


@pytest.fixture
def pool():
    with EnvironmentPool("metaworld_state", {}) as pool:
        yield pool


def attempt(
    pool: EnvironmentPool, action_noise: float = 0.1
) -> Callable[[Sequence[Trial]], list[tuple[Outcome, Episode | None]]]:
    return lambda trials: [demonstrate(trial, pool, action_noise) for trial in trials]


def same(one: Episode, other: Episode) -> bool:
    return all(np.array_equal(values, other.columns[key]) for key, values in one.columns.items())


def test_only_successes_are_kept_and_they_replay(pool: EnvironmentPool) -> None:
    (episode,) = successful_episodes({"drawer-close-v3": 1}, attempt(pool), **SETTINGS)
    env = pool.acquire("drawer-close-v3")
    env.reset(seed=derive_seed("demonstration", 0, "drawer-close-v3", index=0))
    steps = [env.step(action) for action in episode.columns["action"]]
    assert [info["is_success"] for *_, info in steps] == episode.columns["next.success"][:, 0].tolist()
    assert steps[-1][-1]["is_success"]
    seen = [observation["environment_state"] for observation, *_ in steps[:-1]]
    np.testing.assert_array_equal(seen, episode.columns["observation.environment_state"][1:])
    assert np.abs(episode.columns["action"]).max() <= 1


def test_episodes_repeat_and_come_task_by_task(pool: EnvironmentPool) -> None:
    episodes = successful_episodes({"reach-v3": 2, "push-v3": 1}, attempt(pool), **SETTINGS)
    assert [episode.sentence for episode in episodes] == ["Reach a goal position"] * 2 + ["Push the puck to a goal"]
    (first,) = successful_episodes({"reach-v3": 1}, attempt(pool), **SETTINGS)
    assert same(first, episodes[0])
    assert not same(first, episodes[1])


def test_what_fails_is_attempted_again_with_the_next_seeds_and_nothing_in_vain(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    asked: list[list[Trial]] = []

    def every_second(trials: Sequence[Trial]) -> list[tuple[Outcome, Episode | None]]:
        asked.append(list(trials))
        outcome = partial(Outcome, sum_reward=0.0, length=1)
        made = [outcome(task=trial.task, seed=trial.seed, success=trial.seed % 2 == 0) for trial in trials]
        return [(one, Episode(str(one.seed), {}) if one.success else None) for one in made]

    episodes = successful_episodes({"a": 3, "b": 1}, every_second, **SETTINGS)
    seeds = {task: [derive_seed("demonstration", 0, task, index=index) for index in range(9)] for task in "ab"}
    wins = {task: [seed for seed in seeds[task] if seed % 2 == 0] for task in "ab"}
    assert [episode.sentence for episode in episodes] == [str(seed) for seed in (*wins["a"][:3], wins["b"][0])]
    tried = [trial.seed for trials in asked for trial in trials if trial.task == "a"]
    assert tried == seeds["a"][: seeds["a"].index(wins["a"][2]) + 1]
    of_b = seeds["b"].index(wins["b"][0]) + 1
    told = f"least of a, 3 of {len(tried)}" if 3 * of_b < len(tried) else f"least of b, 1 of {of_b}"
    assert f"collect: 4 of {len(tried) + of_b} attempts succeeded; {told}" in caplog.text


def test_noise_is_what_was_asked_for(pool: EnvironmentPool) -> None:
    (clean,) = successful_episodes({"reach-v3": 1}, attempt(pool, 0.0), **SETTINGS)
    (noisy,) = successful_episodes({"reach-v3": 1}, attempt(pool), **SETTINGS)
    # The expert leaves the gripper alone, so what the fourth action holds is noise.
    assert not clean.columns["action"][:, 3].any()
    assert 0.05 < noisy.columns["action"][:, 3].std() < 0.2


def test_too_few_successes_name_the_task(caplog: pytest.LogCaptureFixture) -> None:
    told = r"task push-v3: 0 of 6 attempts.*expected 2"
    with EnvironmentPool("metaworld_state", {"episode_length": 5}) as pool:
        with pytest.raises(SimulationError, match=told):
            successful_episodes({"push-v3": 2}, attempt(pool), **SETTINGS)
        assert successful_episodes({"push-v3": 2}, attempt(pool), demands_all=False, **SETTINGS) == []
    assert re.search(told, caplog.text)
