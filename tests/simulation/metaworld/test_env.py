"""The plug-in keeps MetaWorld's physics, and a seed stands for one episode."""

import gc
import json
import os
import subprocess
import sys
import weakref
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
from lerobot.envs.metaworld import TASK_DESCRIPTIONS

from leagents_kedro.errors import ParameterError
from leagents_kedro.simulation.metaworld.config import MetaWorldStateConfig
from leagents_kedro.simulation.metaworld.env import MetaWorldStateEnv
from leagents_kedro.simulation.metaworld.scene import scene_of

# Basketball, box-close, and lever-pull carry most from one reset to the next in MetaWorld itself.
TASKS = ["reach-v3", "push-v3", "door-open-v3", "basketball-v3", "box-close-v3", "lever-pull-v3"]


def trajectory(env: MetaWorldStateEnv, seed: int) -> np.ndarray:
    """Return observations and rewards (steps, 90) of random actions that depend on the seed."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (25, 4)).astype(np.float32)
    observation, _ = env.reset(seed=seed)
    rows = [np.append(observation["environment_state"], 0)]
    for action in actions:
        observation, reward, *_ = env.step(action)
        rows.append(np.append(observation["environment_state"], reward))
    return np.array(rows)


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_determines_the_episode_in_a_new_and_in_a_used_environment(task: str) -> None:
    used = MetaWorldStateEnv(task, 100)
    trajectory(used, 1)
    repeated = trajectory(used, 2)
    np.testing.assert_array_equal(trajectory(MetaWorldStateEnv(task, 100), 2), repeated)
    assert not np.array_equal(trajectory(used, 3)[0], repeated[0])


@pytest.mark.parametrize("task", TASKS)
def test_environments_that_share_a_scene_do_not_disturb_each_other(task: str) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (25, 4)).astype(np.float32)

    def steps(seed: int):
        """Yield each observation and reward."""
        env = MetaWorldStateEnv(task, 100)
        yield env.reset(seed=seed)
        for action in actions:
            yield env.step(action)

    alone = [list(steps(seed)) for seed in (1, 2)]
    in_turns = list(zip(steps(1), steps(2), strict=True))
    np.testing.assert_equal(in_turns, list(zip(*alone, strict=True)))


def test_a_scene_is_freed_with_its_last_environment() -> None:
    task = "dial-turn-v3"  # which no other test holds
    first, second = MetaWorldStateEnv(task, 100), MetaWorldStateEnv(task, 100)
    for env in (first, second):
        env.reset(seed=0)
    assert first._simulation.model is second._simulation.model
    scene = weakref.ref(scene_of(task))
    first.close()
    assert scene() is scene_of(task)
    second.close()
    gc.collect()
    assert scene() is None


@pytest.mark.parametrize("task", ["reach-v3", "push-v3", "door-open-v3"])
def test_the_goal_is_in_sight(task: str) -> None:
    env = MetaWorldStateEnv(task, 100)
    for observation in (env.reset(seed=0)[0], env.step(np.zeros(4, np.float32))[0]):
        np.testing.assert_allclose(observation["environment_state"][36:39], env._simulation._target_pos, atol=1e-6)


def test_placements_are_spread_as_in_metaworld() -> None:
    env = MetaWorldStateEnv("reach-v3", 100)
    goals = np.array([env.reset(seed=seed)[0]["environment_state"][36:39] for seed in range(40)])
    assert (goals >= np.array([-0.1, 0.8, 0.05]) - 1e-6).all()
    assert (goals <= np.array([0.1, 0.9, 0.3]) + 1e-6).all()
    assert (np.ptp(goals, axis=0) > np.array([0.1, 0.05, 0.125])).all()


def test_observations_name_the_task_and_the_hand() -> None:
    names = sorted(TASK_DESCRIPTIONS)
    env = MetaWorldStateEnv("push-v3", 100)
    observation, info = env.reset(seed=0)
    state = observation["environment_state"]
    assert env.observation_space.contains(observation)
    assert [names[index] for index in np.flatnonzero(state[39:])] == ["push-v3"]
    np.testing.assert_array_equal(observation["agent_pos"], state[:4])
    assert info == {"is_success": False}
    assert (env.task, env.task_description) == ("push-v3", TASK_DESCRIPTIONS["push-v3"])


def test_an_episode_ends_at_its_limit() -> None:
    env = MetaWorldStateEnv("push-v3", 5)
    for _ in range(2):
        env.reset(seed=0)
        ends = [env.step(np.zeros(4, np.float32))[2:4] for _ in range(5)]
        assert ends == [(False, False)] * 4 + [(False, True)]
    with pytest.raises(ParameterError, match="between 1 and 500"):
        MetaWorldStateConfig(episode_length=501)


def test_groups_and_lists_make_one_vector_environment_a_task() -> None:
    envs = MetaWorldStateConfig(task="very_hard, reach-v3").create_envs(2)
    assert {group: len(tasks) for group, tasks in envs.items()} == {"very_hard": 5, "reach-v3": 1}
    assert envs["very_hard"][0].call("task") == ("shelf-place-v3",) * 2


def test_closing_frees_the_simulation_and_a_reset_makes_another() -> None:
    env = MetaWorldStateEnv("reach-v3", 100)
    before = trajectory(env, 0)
    env.close()
    env.close()
    np.testing.assert_array_equal(trajectory(env, 0), before)


@pytest.mark.slow
@pytest.mark.skipif(find_library("EGL") is None, reason="lerobot-eval always renders, which needs libEGL")
def test_lerobot_eval_runs_the_plug_in(checkpoint: Path, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("lerobot-eval")),
        "--env.type=metaworld_state",
        "--env.task=reach-v3",
        "--env.episode_length=20",
        "--env.discover_packages_path=leagents_kedro.simulation",
        f"--policy.path={checkpoint / 'pretrained_model'}",
        "--policy.device=cpu",
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
        f"--output_dir={tmp_path}",
    ]
    environment = os.environ | {"MUJOCO_GL": "egl", "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    info = json.loads((tmp_path / "eval_info.json").read_text())
    assert info["overall"]["n_episodes"] == 1
    assert len(info["overall"]["video_paths"]) == 1
