import pytest

from leagents_kedro.constitution.limits import Command, Constitution, require, violations
from leagents_kedro.errors import ConstitutionError

STRICT = Constitution(
    environments=("metaworld_state",),
    max_training_steps=100,
    max_episodes=50,
    forbidden_commands=("lerobot-annotate",),
    forbidden_arguments=("*wandb.enable=true",),
    hub_push=False,
    remote_code=False,
    real_hardware=False,
    parallel_task_evaluation=False,
)
LENIENT = STRICT.model_copy(
    update={"hub_push": True, "remote_code": True, "real_hardware": True, "parallel_task_evaluation": True}
)
ALLOWED = Command(program="lerobot-train", arguments={"steps": 100, "policy": {"push_to_hub": False}})

CASES = [
    ("lerobot-annotate", {}, "forbidden"),
    ("lerobot-train", {"steps": 101}, "more than 100"),
    ("lerobot-train", {"wandb": {"enable": True}}, "wandb.enable=true is forbidden"),
    ("lerobot-eval", {"eval": {"n_episodes": 51}}, "more than 50"),
    ("lerobot-eval", {"env": {"type": "libero"}}, "not among metaworld_state"),
]
SWITCHED = [
    ("lerobot-train", {"policy": {"push_to_hub": True}}, "pushes to the Hub"),
    ("lerobot-eval", {"trust_remote_code": True}, "runs code from the Hub"),
    ("lerobot-eval", {"env": {"hub_path": "someone/env"}}, "runs code from the Hub"),
    ("lerobot-eval", {"env": {"max_parallel_tasks": 2}}, "parallel threads"),
    ("lerobot-rollout", {}, "real hardware"),
    ("lerobot-eval", {"robot": {"type": "so100"}}, "real hardware"),
]


def test_a_job_within_the_limits_passes():
    require(STRICT, ALLOWED)


@pytest.mark.parametrize(("command", "arguments", "expected"), CASES + SWITCHED)
def test_a_job_beyond_a_limit_is_stopped_and_the_limit_named(command, arguments, expected):
    with pytest.raises(ConstitutionError, match=expected):
        require(STRICT, Command(program=command, arguments=arguments))


@pytest.mark.parametrize(("command", "arguments", "expected"), SWITCHED)
def test_a_limit_that_is_switched_off_lets_the_job_pass(command, arguments, expected):
    assert violations(LENIENT, Command(program=command, arguments=arguments)) == ()


def test_every_broken_limit_is_named():
    command = Command(program="lerobot-train", arguments={"steps": 101, "policy": {"push_to_hub": True}})
    assert len(violations(STRICT, command)) == 2


def test_the_digest_tells_constitutions_apart():
    assert STRICT.digest != LENIENT.digest
    assert STRICT.digest == STRICT.model_copy().digest
