"""Environments of LeRobot's types are configured, or say what should have been given; a folder can say more of them."""

import pytest
from lerobot.envs.configs import PushtEnv

from leagents_kedro.errors import ParameterError
from leagents_kedro.simulation.environments import Environment, environment_of


def test_options_reach_the_configuration() -> None:
    config = environment_of("pusht").config("PushT-v0", {"obs_type": "environment_state_agent_pos"})
    assert isinstance(config, PushtEnv)
    assert "environment_state" in config.features
    state = environment_of("metaworld_state").config(None, {"episode_length": 30})
    assert state.gym_kwargs == {"episode_length": 30}


def test_unknown_and_refused_options_are_named() -> None:
    with pytest.raises(ParameterError, match=r"no option .* 'episode_lenght'.*Did you mean 'episode_length'"):
        environment_of("metaworld_state").config("reach-v3", {"episode_lenght": 3})
    with pytest.raises(ParameterError, match="Unsupported obs_type"):
        environment_of("libero").config("libero_10", {"obs_type": "state"})


def test_a_type_without_a_folder_is_served_by_the_default() -> None:
    assert type(environment_of("pusht")) is Environment
    assert type(environment_of("metaworld_state")) is not Environment


def test_experts_are_there_or_their_absence_is_named() -> None:
    assert environment_of("metaworld_state").has_experts()
    assert not environment_of("metaworld").has_experts()
    with pytest.raises(ParameterError, match=r"'pusht' has no scripted experts .*metaworld_state"):
        environment_of("pusht").expert("PushT-v0")


def test_images_have_the_size_of_options_where_the_environment_heeds_them() -> None:
    asked = {"observation_height": 256, "observation_width": 320}
    assert environment_of("libero").size_options({}, 256, 320) == asked
    assert environment_of("libero").size_options({"observation_width": 320}, 256, 320) == {"observation_height": 256}
    assert environment_of("pusht").size_options({}, 256, 320) == {}
