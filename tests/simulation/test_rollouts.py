"""The engine gives the outcomes of LeRobot's own evaluation, with fewer policy calls."""

import heapq
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lerobot.envs.metaworld import TASK_POLICY_MAPPING
from lerobot.policies.factory import make_pre_post_processors

from leagents_kedro.errors import ParameterError, SimulationError
from leagents_kedro.policies.actor import Actor
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.environments import Trial, environment_of
from leagents_kedro.simulation.metaworld.tasks import METAWORLD_DIM
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import roll_out
from support.parameters import described

LIMIT = 120
EPISODES = 6
PUSHT = {"obs_type": "environment_state_agent_pos", "episode_length": 12}


@pytest.fixture
def pool():
    with EnvironmentPool("metaworld_state", {"episode_length": LIMIT}) as pool:
        yield pool


@pytest.fixture(scope="module")
def actor(checkpoint: Path) -> Actor:
    return Actor.load(checkpoint)


class Scripted:
    """A policy without weights: the same chunk for every observation, or the expert of one task."""

    def __init__(self, chunk: np.ndarray | None = None, expert: str | None = None, chunked: bool = True):
        self.chunked, self._chunk = chunked, chunk
        self._expert = TASK_POLICY_MAPPING[expert]() if expert else None
        self.batches: list[int] = []
        self.resets = 0

    def bind(self, environment: Any) -> None:
        """It needs no processors."""

    def reset(self) -> None:
        self.resets += 1

    def predict(self, observations: list[dict[str, Any]], sentences: list[str], seeds: list[int]) -> np.ndarray:
        self.batches.append(len(observations))
        if self._expert is None:
            return np.stack([self._chunk] * len(observations))
        states = [observation["environment_state"][:METAWORLD_DIM].astype(float) for observation in observations]
        return np.array([[self._expert.get_action(state).clip(-1, 1)] for state in states], np.float32)


def lerobot_outcomes(checkpoint: Path, pool: EnvironmentPool, task: str, first_seed: int) -> dict[str, Any]:
    """Evaluate with LeRobot itself, one environment at a time."""
    import torch
    from lerobot.configs import PreTrainedConfig
    from lerobot.envs.factory import make_env, make_env_pre_post_processors
    from lerobot.policies.factory import make_policy, make_pre_post_processors
    from lerobot.scripts.lerobot_eval import eval_policy

    folder = checkpoint / "pretrained_model"
    config, policy_config = pool.config(task), PreTrainedConfig.from_pretrained(folder)
    policy_config.pretrained_path = folder
    ((env,),) = (tasks.values() for tasks in make_env(config, n_envs=1).values())
    with torch.no_grad():
        return eval_policy(
            env,
            make_policy(policy_config, env_cfg=config).eval(),
            *make_env_pre_post_processors(config, policy_config),
            *make_pre_post_processors(policy_config, str(folder)),
            n_episodes=EPISODES,
            start_seed=first_seed,
            return_episode_data=True,
        )


@pytest.mark.parametrize("task", ["reach-v3", pytest.param("drawer-close-v3", marks=pytest.mark.slow)])
def test_outcomes_are_those_of_lerobot_eval(actor: Actor, checkpoint: Path, pool: EnvironmentPool, task: str) -> None:
    theirs = lerobot_outcomes(checkpoint, pool, task, first_seed=50)
    ours = roll_out(actor, [Trial(task, 50 + index) for index in range(EPISODES)], pool, slots=4, keep_episodes=True)
    assert [outcome.success for outcome, _ in ours] == [episode["success"] for episode in theirs["per_episode"]]
    returns = [episode["sum_reward"] for episode in theirs["per_episode"]]
    assert [outcome.sum_reward for outcome, _ in ours] == pytest.approx(returns, rel=1e-3)
    # LeRobot repeats the last frame of each episode.
    lengths = np.bincount(theirs["episodes"]["episode_index"]) - 1
    assert [outcome.length for outcome, _ in ours] == lengths.tolist()
    for index, (outcome, episode) in enumerate(ours):
        frames = np.flatnonzero(theirs["episodes"]["episode_index"] == index)[: outcome.length]
        for key, values in episode.columns.items():
            expected = theirs["episodes"][key][frames].numpy()
            np.testing.assert_allclose(values, expected.reshape(values.shape), atol=1e-2, err_msg=key)


def test_the_policy_of_these_tests_succeeds_and_fails(actor: Actor, pool: EnvironmentPool) -> None:
    trials = [Trial(task, seed) for task in ("reach-v3", "drawer-close-v3") for seed in range(50, 50 + EPISODES)]
    assert len({outcome.success for outcome, _ in roll_out(actor, trials, pool, slots=4)}) == 2


@pytest.mark.slow
def test_an_actor_with_memory_gives_lerobots_outcomes_too(
    checkpoint: Path, pool: EnvironmentPool, tmp_path: Path
) -> None:
    folder = tmp_path / "pretrained_model"
    folder.mkdir()
    for file in (checkpoint / "pretrained_model").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = (folder / "config.json").read_text()
    config = config.replace('"temporal_ensemble_coeff": null', '"temporal_ensemble_coeff": 0.01')
    (folder / "config.json").write_text(config.replace('"n_action_steps": 10', '"n_action_steps": 1'))
    actor = Actor.load(tmp_path)
    assert not actor.chunked
    theirs = lerobot_outcomes(tmp_path, pool, "reach-v3", first_seed=50)["per_episode"]
    ours = roll_out(actor, [Trial("reach-v3", 50 + index) for index in range(EPISODES)], pool, slots=4)
    assert [outcome.success for outcome, _ in ours] == [episode["success"] for episode in theirs]
    returns = [episode["sum_reward"] for episode in theirs]
    assert [outcome.sum_reward for outcome, _ in ours] == pytest.approx(returns, rel=1e-3)


@pytest.fixture(scope="module")
def alone(actor: Actor) -> dict[Trial, Outcome]:
    """What comes of each trial when it is the only one."""
    trials = [Trial(task, seed) for seed in range(4) for task in ("reach-v3", "drawer-close-v3")]
    with EnvironmentPool("metaworld_state", {"episode_length": LIMIT}) as pool:
        return {trial: roll_out(actor, [trial], pool, slots=1)[0][0] for trial in trials}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), slots=st.integers(1, 11))
def test_what_comes_of_a_job_depends_on_no_other_job(
    actor: Actor, pool: EnvironmentPool, alone: dict[Trial, Outcome], data: st.DataObject, slots: int
) -> None:
    trials = data.draw(st.permutations(list(alone)))[: data.draw(st.integers(1, len(alone)))]
    together = [outcome for outcome, _ in roll_out(actor, trials, pool, slots=slots)]
    assert together == [alone[trial] for trial in trials], "to the bit of sum_reward"


def test_rows_of_one_call_are_independent_only_in_calls_of_one_size(actor: Actor, pool: EnvironmentPool) -> None:
    """Why calls are padded: where this fails, `Actor` may do without."""
    env = pool.acquire("reach-v3")
    seen = [env.reset(seed=seed)[0] for seed in range(8)]
    pool.release("reach-v3", env)
    chunks = actor.predict(seen, ["Reach"] * 8, [0] * 8)
    for first in range(8):
        some = seen[first : first + 3]
        np.testing.assert_array_equal(actor.predict(some, ["?"] * len(some), [1] * len(some))[0], chunks[first])
    assert actor._rows == 8
    actor._rows = 1
    try:
        assert not np.array_equal(actor.predict(seen, ["Reach"] * 8, [0] * 8), chunks)
    finally:
        actor._rows = 8


def test_a_policy_that_samples_draws_from_the_seed_of_each_episode(pool: EnvironmentPool, tmp_path: Path) -> None:
    from lerobot.policies.tdmpc.configuration_tdmpc import TDMPCConfig
    from lerobot.policies.tdmpc.modeling_tdmpc import TDMPCPolicy

    env = pool.config("reach-v3")
    features = {env.features_map[key]: feature for key, feature in env.features.items()}
    config = TDMPCConfig(
        input_features={key: feature for key, feature in features.items() if key != "action"},
        output_features={"action": features["action"]},
        horizon=2,
        latent_dim=8,
        mlp_dim=8,
        cem_iterations=1,
        n_gaussian_samples=8,
        n_elites=4,
        n_pi_samples=4,
        device="cpu",
    )
    stats = {
        key: {"mean": torch.zeros(shape), "std": torch.ones(shape), "min": -torch.ones(shape), "max": torch.ones(shape)}
        for key, shape in ((key, feature.shape) for key, feature in features.items())
    }
    for part in (TDMPCPolicy(config), *make_pre_post_processors(config, dataset_stats=stats)):
        part.save_pretrained(tmp_path / "pretrained_model")
    actor = Actor.load(tmp_path)
    trials = [Trial("reach-v3", seed) for seed in range(3)]
    with EnvironmentPool("metaworld_state", {"episode_length": 12}) as short:
        outcomes = [outcome for outcome, _ in roll_out(actor, trials, short, slots=4)]
        again = [outcome for outcome, _ in roll_out(actor, trials[::-1], short, slots=1)]
    assert outcomes == again[::-1]
    assert len({outcome.sum_reward for outcome in outcomes}) == 3


def test_a_chunk_is_used_up_before_the_next_call() -> None:
    actor = Scripted(np.zeros((5, 4), np.float32))
    with EnvironmentPool("metaworld_state", {"episode_length": 20}) as pool:
        roll_out(actor, [Trial("push-v3", seed) for seed in range(7)], pool, slots=3)
    assert actor.batches == [3] * 8 + [1] * 4


def test_a_slot_is_refilled_as_soon_as_its_episode_ends(pool: EnvironmentPool) -> None:
    actor = Scripted(expert="reach-v3")
    lengths = [
        outcome.length for outcome, _ in roll_out(actor, [Trial("reach-v3", s) for s in range(8)], pool, slots=3)
    ]
    slots_end = [0, 0, 0]
    for length in lengths:
        heapq.heapreplace(slots_end, slots_end[0] + length)
    assert len(set(lengths)) > 1
    assert len(actor.batches) == max(slots_end)
    assert sum(actor.batches) == sum(lengths)


def test_an_actor_with_memory_runs_one_episode_at_a_time() -> None:
    actor = Scripted(np.zeros((1, 4), np.float32), chunked=False)
    with EnvironmentPool("metaworld_state", {"episode_length": 4}) as pool:
        roll_out(actor, [Trial("push-v3", seed) for seed in range(3)], pool, slots=5)
    assert (actor.resets, actor.batches) == (3, [1] * 12)


def test_results_keep_the_order_of_jobs_and_progress_counts(pool: EnvironmentPool) -> None:
    seen = []
    trials = [Trial(task, seed) for seed in (7, 3) for task in ("reach-v3", "push-v3")]
    outcomes = roll_out(
        Scripted(expert="reach-v3"), trials, pool, slots=4, progress=lambda done, won: seen.append((done, won))
    )
    assert [(outcome.task, outcome.seed) for outcome, _ in outcomes] == [(trial.task, trial.seed) for trial in trials]
    assert [done for done, _ in seen] == [1, 2, 3, 4]
    assert seen[-1][1] == sum(outcome.success for outcome, _ in outcomes) > 0
    assert roll_out(Scripted(), [], pool, slots=1) == []


def test_kept_episodes_have_the_columns_of_the_features(pool: EnvironmentPool) -> None:
    ((outcome, episode),) = roll_out(
        Scripted(expert="reach-v3"), [Trial("reach-v3", 1)], pool, slots=1, keep_episodes=True
    )
    features = described("metaworld_state", "reach-v3").features
    assert outcome.success
    assert episode.sentence == "Reach a goal position"
    assert {key: values.shape for key, values in episode.columns.items()} == {
        key: (outcome.length, *feature["shape"]) for key, feature in features.items()
    }
    assert {key: values.dtype.name for key, values in episode.columns.items()} == {
        key: feature["dtype"] for key, feature in features.items()
    }
    for key in ("next.success", "next.done"):
        assert np.flatnonzero(episode.columns[key]).tolist() == [outcome.length - 1]
    assert episode.columns["next.reward"].sum() == pytest.approx(outcome.sum_reward, rel=1e-5)


def test_nothing_is_rendered(pool: EnvironmentPool) -> None:
    roll_out(Scripted(expert="reach-v3"), [Trial("reach-v3", 0)], pool, slots=1, keep_episodes=True)
    assert pool.acquire("reach-v3")._simulation.mujoco_renderer.viewer is None


def test_other_lerobot_environments_roll_out_as_well() -> None:
    actions = np.random.default_rng(0).uniform(100, 400, (4, 2)).astype(np.float32)
    with EnvironmentPool("pusht", PUSHT) as pool:
        rolled = roll_out(Scripted(actions), [Trial("PushT-v0", s) for s in (0, 1)], pool, slots=2, keep_episodes=True)
    features = described("pusht", "PushT-v0", **PUSHT).features
    outcome, episode = rolled[0]
    assert (outcome.length, outcome.success, episode.sentence) == (12, False, "PushT-v0")
    assert {key: values.shape[1:] for key, values in episode.columns.items()} == {
        key: feature["shape"] for key, feature in features.items()
    }
    np.testing.assert_array_equal(episode.columns["action"], np.tile(actions, (3, 1)))


def test_images_are_kept_as_the_environment_showed_them() -> None:
    options = {"obs_type": "pixels_agent_pos", "episode_length": 3}
    with EnvironmentPool("pusht", options) as pool:
        env = pool.acquire("PushT-v0")
        first = env.reset(seed=5)[0]["pixels"]
        pool.release("PushT-v0", env)
        actor = Scripted(np.full((3, 2), 200, np.float32))
        ((_, episode),) = roll_out(actor, [Trial("PushT-v0", 5)], pool, slots=1, keep_episodes=True)
    images = episode.columns["observation.image"]
    assert (images.shape, images.dtype) == ((3, *first.shape), np.uint8)
    np.testing.assert_array_equal(images[0], first)


class CountingResets(gym.Env):
    """LIBERO cannot be installed here; this keeps of it how an initial state is chosen."""

    init_state_id = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        state = self.init_state_id % 50
        self.init_state_id += 1
        return {"agent_pos": np.array([state])}, {}


def test_a_seed_stands_for_one_initial_state_also_where_resets_are_counted() -> None:
    env = CountingResets()
    begin = environment_of("libero").begin
    states = [int(begin(env, Trial("libero_10", seed))["agent_pos"][0]) for seed in (7, 3, 7, 53)]
    assert states == [7, 3, 7, 3]


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.full((2, 4), np.nan, np.float32), "task push-v3, seed 9, step 0: .*not finite"),
        (np.zeros((2, 7), np.float32), r"task push-v3, seed 9, step 0: .*\(1, steps, 4\), got \(1, 2, 7\)"),
        (np.zeros((0, 4), np.float32), "should have shape"),
    ],
)
def test_broken_actions_name_task_seed_and_step(pool: EnvironmentPool, chunk: np.ndarray, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        roll_out(Scripted(chunk), [Trial("push-v3", 9)], pool, slots=1)


def test_slots_must_be_positive(pool: EnvironmentPool) -> None:
    with pytest.raises(ParameterError, match="slots should be at least 1, got 0"):
        roll_out(Scripted(), [], pool, slots=0)
