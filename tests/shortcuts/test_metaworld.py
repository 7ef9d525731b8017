"""Steps through the shortcuts are MetaWorld's own, to the bit."""

import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from leagents_kedro.shortcuts import metaworld
from leagents_kedro.simulation.metaworld.env import MetaWorldStateEnv
from leagents_kedro.simulation.pool import EnvironmentPool

GRASPED = ["push-v3", "pick-place-v3", "coffee-pull-v3"]
TWO_OBJECTS = ["hammer-v3", "stick-pull-v3"]


def fast(task: str) -> MetaWorldStateEnv:
    env = MetaWorldStateEnv(task, 100)
    env.shortcuts = True
    return env


def driven(env: MetaWorldStateEnv, task: str, steps: int):
    """Yield what each step of the task's expert gives."""
    observation, _ = env.reset(seed=3)
    expert = ENV_POLICY_MAP[task]()
    for _ in range(steps):
        yield observation["environment_state"]
        action = expert.get_action(observation["environment_state"][:39].astype(np.float64))
        observation, *rest = env.step(np.clip(action, -1, 1).astype(np.float32))
        yield rest


@pytest.mark.filterwarnings("ignore:Constant")  # an expert's
@pytest.mark.parametrize("task", [*GRASPED, *TWO_OBJECTS, "reach-v3"])
def test_steps_are_metaworlds(task: str) -> None:
    for ours, theirs in zip(driven(fast(task), task, 90), driven(MetaWorldStateEnv(task, 100), task, 90), strict=True):
        np.testing.assert_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:Constant")
@pytest.mark.parametrize("task", GRASPED)
def test_touch_is_metaworlds(task: str) -> None:
    env = fast(task)
    simulation, touched = env._simulation, []
    for _ in driven(env, task, 90):
        for geom in np.unique(simulation.data.contact.geom):
            touches = simulation.touching_object(geom)
            assert touches == type(simulation).touching_object(simulation, geom)
            touched.append(touches)
    assert 0 < sum(touched) < len(touched)


@pytest.mark.parametrize("task", sorted(ENV_POLICY_MAP))
def test_the_current_observation_is_metaworlds(task: str) -> None:
    env = fast(task)
    env.reset(seed=1)
    simulation = env._simulation
    own = type(simulation)._get_curr_obs_combined_no_goal(simulation)
    np.testing.assert_array_equal(simulation._get_curr_obs_combined_no_goal(), own)


@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_pool_takes_them_or_not(shortcuts: bool) -> None:
    with EnvironmentPool("metaworld_state", {}, shortcuts) as pool:
        assert ("touching_object" in vars(pool.acquire("reach-v3").unwrapped._simulation)) == shortcuts


def test_with_another_version_steps_are_metaworlds_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metaworld.TRIED, "metaworld", "2.0")
    assert "touching_object" not in vars(fast("reach-v3")._simulation)
