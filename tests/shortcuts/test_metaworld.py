"""Steps through the shortcuts are MetaWorld's own, to the bit."""

import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from leagents_kedro.simulation.metaworld.env import MetaWorldStateEnv

SHORTCUTS = ["touching_object", "_get_curr_obs_combined_no_goal"]
GRASPED = ["push-v3", "pick-place-v3", "coffee-pull-v3"]
TWO_OBJECTS = ["hammer-v3", "stick-pull-v3"]


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
    shortcut, own = MetaWorldStateEnv(task, 100), MetaWorldStateEnv(task, 100)
    for name in SHORTCUTS:
        delattr(own._simulation, name)
    for ours, theirs in zip(driven(shortcut, task, 90), driven(own, task, 90), strict=True):
        np.testing.assert_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:Constant")
@pytest.mark.parametrize("task", GRASPED)
def test_touch_is_metaworlds(task: str) -> None:
    env = MetaWorldStateEnv(task, 100)
    simulation, touched = env._simulation, []
    for _ in driven(env, task, 90):
        for geom in np.unique(simulation.data.contact.geom):
            touches = simulation.touching_object(geom)
            assert touches == type(simulation).touching_object(simulation, geom)
            touched.append(touches)
    assert 0 < sum(touched) < len(touched)


@pytest.mark.parametrize("task", sorted(ENV_POLICY_MAP))
def test_the_current_observation_is_metaworlds(task: str) -> None:
    env = MetaWorldStateEnv(task, 100)
    env.reset(seed=1)
    simulation = env._simulation
    own = type(simulation)._get_curr_obs_combined_no_goal(simulation)
    np.testing.assert_array_equal(simulation._get_curr_obs_combined_no_goal(), own)
