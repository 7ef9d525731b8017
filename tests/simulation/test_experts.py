"""Demonstrations succeed, repeat, and come from seeds that are for demonstrations alone."""

import numpy as np
import pytest

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import ParameterError, SimulationError
from leagents_kedro.seeds import derive_seed
from leagents_kedro.simulation.experts import collect_demonstrations
from leagents_kedro.simulation.pool import EnvironmentPool

SETTINGS = {"seed_names": (0,), "first_index": {}, "action_noise": 0.1, "max_attempts_factor": 3}


@pytest.fixture
def pool():
    with EnvironmentPool("metaworld_state", {}) as pool:
        yield pool


def same(one: Episode, other: Episode) -> bool:
    return all(np.array_equal(values, other.columns[key]) for key, values in one.columns.items())


def test_only_successes_are_kept_and_they_replay(pool: EnvironmentPool) -> None:
    (episode,) = collect_demonstrations({"drawer-close-v3": 1}, pool, **SETTINGS)
    env = pool.acquire("drawer-close-v3")
    env.reset(seed=derive_seed("demonstration", 0, "drawer-close-v3", index=0))
    steps = [env.step(action) for action in episode.columns["action"]]
    assert [info["is_success"] for *_, info in steps] == episode.columns["next.success"][:, 0].tolist()
    assert steps[-1][-1]["is_success"]
    seen = [observation["environment_state"] for observation, *_ in steps[:-1]]
    np.testing.assert_array_equal(seen, episode.columns["observation.environment_state"][1:])
    assert np.abs(episode.columns["action"]).max() <= 1


def test_episodes_repeat_and_continue_from_the_first_index(pool: EnvironmentPool) -> None:
    seen = []
    episodes = collect_demonstrations(
        {"reach-v3": 2, "push-v3": 1}, pool, progress=lambda done, task: seen.append((done, task)), **SETTINGS
    )
    assert seen == [(1, "reach-v3"), (2, "reach-v3"), (3, "push-v3")]
    assert [episode.sentence for episode in episodes] == ["Reach a goal position"] * 2 + ["Push the puck to a goal"]
    (second,) = collect_demonstrations({"reach-v3": 1}, pool, **SETTINGS | {"first_index": {"reach-v3": 1}})
    assert same(second, episodes[1])
    assert not same(second, episodes[0])


def test_noise_is_what_was_asked_for(pool: EnvironmentPool) -> None:
    (clean,) = collect_demonstrations({"reach-v3": 1}, pool, **SETTINGS | {"action_noise": 0.0})
    (noisy,) = collect_demonstrations({"reach-v3": 1}, pool, **SETTINGS)
    # The expert leaves the gripper alone, so what the fourth action holds is noise.
    assert not clean.columns["action"][:, 3].any()
    assert 0.05 < noisy.columns["action"][:, 3].std() < 0.2


def test_too_few_successes_name_the_task() -> None:
    with (
        EnvironmentPool("metaworld_state", {"episode_length": 5}) as pool,
        pytest.raises(SimulationError, match=r"task push-v3: 0 of 6 attempts.*expected 2"),
    ):
        collect_demonstrations({"push-v3": 2}, pool, **SETTINGS)


def test_environments_without_experts_are_refused() -> None:
    with EnvironmentPool("pusht", {}) as pool, pytest.raises(ParameterError, match="no scripted experts"):
        collect_demonstrations({"PushT-v0": 1}, pool, **SETTINGS)
