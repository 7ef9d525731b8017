"""Environments are made once a task and slot, and all are closed."""

import pytest

from leagents_kedro.errors import ParameterError
from leagents_kedro.simulation.pool import EnvironmentPool


def test_environments_are_used_again_by_their_task_alone() -> None:
    with EnvironmentPool("metaworld_state", {}) as pool:
        reach = pool.acquire("reach-v3")
        another = pool.acquire("reach-v3")
        assert another is not reach
        pool.release("reach-v3", reach)
        assert pool.acquire("push-v3") is not reach
        assert pool.acquire("reach-v3") is reach


def test_all_environments_are_closed_also_those_in_use() -> None:
    with EnvironmentPool("metaworld_state", {}) as pool:
        envs = [pool.acquire("reach-v3"), pool.acquire("reach-v3")]
        for env in envs:
            env.reset(seed=0)
        pool.release("reach-v3", envs[0])
    assert not any("_simulation" in vars(env) for env in envs)


def test_a_discarded_environment_is_closed_and_not_used_again() -> None:
    with EnvironmentPool("metaworld_state", {}) as pool:
        broken = pool.acquire("reach-v3")
        broken.reset(seed=0)
        pool.discard(broken)
        assert "_simulation" not in vars(broken)
        assert pool.acquire("reach-v3") is not broken


def test_idle_environments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leagents_kedro.simulation.pool._IDLE_ENVIRONMENTS", 1)
    with EnvironmentPool("metaworld_state", {}) as pool:
        reach, push = pool.acquire("reach-v3"), pool.acquire("push-v3")
        pool.release("reach-v3", reach)
        pool.release("push-v3", push)
        assert pool.acquire("push-v3") is push
        assert pool.acquire("reach-v3") is not reach


@pytest.mark.parametrize(
    ("environment", "task", "message"),
    [
        ("metaworld_state", "very_hard", "stands for 5 tasks"),
        ("metaworld_state", "push-v2", "Did you mean 'push-v3'"),
        ("aloha", "AlohaInsertion-v0", "gym_aloha"),
    ],
)
def test_a_task_that_cannot_be_made_is_refused(environment: str, task: str, message: str) -> None:
    with EnvironmentPool(environment, {}) as pool, pytest.raises(ParameterError, match=message):
        pool.acquire(task)
