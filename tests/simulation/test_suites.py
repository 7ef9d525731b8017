"""Names of suites, tasks, and environments resolve, or say what they should have been."""

import pytest
from lerobot.envs.configs import PushtEnv

from leagents_kedro.errors import ParameterError
from leagents_kedro.records import Task
from leagents_kedro.simulation.environments import environment_config
from leagents_kedro.simulation.suites import resolve_suite


def test_groups_expand_in_order_and_duplicates_drop() -> None:
    tasks = resolve_suite("metaworld_state", ["push-v3", "very_hard", "reach-v3", "push-v3"])
    names = [task.name for task in tasks]
    assert (names[0], names[-1], len(names)) == ("push-v3", "reach-v3", 7)
    assert tasks[0] == Task(name="push-v3", sentence="Push the puck to a goal")


def test_all_groups_are_all_tasks() -> None:
    assert len(resolve_suite("metaworld_state", ["easy", "medium", "hard", "very_hard"])) == 50


def test_a_task_without_a_description_is_told_by_its_name() -> None:
    assert resolve_suite("pusht", ["PushT-v0"]) == (Task(name="PushT-v0", sentence="PushT-v0"),)


@pytest.mark.parametrize(
    ("environment", "task", "hint"),
    [
        ("metaworld_state", "reach-v2", "Did you mean 'reach-v3'"),
        ("metaworld_state", "esy", "Did you mean 'easy'"),
        ("metaworld_stat", "reach-v3", "Did you mean 'metaworld_state'"),
        ("pusht", "PushT-v9", "cannot make task 'PushT-v9'"),
    ],
)
def test_unknown_names_are_refused_with_a_hint(environment: str, task: str, hint: str) -> None:
    with pytest.raises(ParameterError, match=hint):
        resolve_suite(environment, [task])


def test_options_reach_the_configuration() -> None:
    config = environment_config("pusht", "PushT-v0", {"obs_type": "environment_state_agent_pos"})
    assert isinstance(config, PushtEnv)
    assert "environment_state" in config.features
    assert environment_config("metaworld_state", None, {"episode_length": 30}).gym_kwargs == {"episode_length": 30}


def test_unknown_and_refused_options_are_named() -> None:
    with pytest.raises(ParameterError, match=r"no option .* 'episode_lenght'.*Did you mean 'episode_length'"):
        environment_config("metaworld_state", "reach-v3", {"episode_lenght": 3})
    with pytest.raises(ParameterError, match="Unsupported obs_type"):
        environment_config("libero", "libero_10", {"obs_type": "state"})
