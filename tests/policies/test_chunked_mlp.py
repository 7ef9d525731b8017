"""A chunked MLP: what it sees, how its errors count, how it learns, and how LeRobot's commands open it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import ParameterError
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.checkpoints import checkpoint_step
from leagents_kedro.policies.training import check_policy, policy_config, train
from support.datasets import METAWORLD, numbers, write_reaches
from support.policies import rung_of, untrained

CAMERA = {"observation.image": {"dtype": "image", "shape": (32, 32, 3), "names": ["height", "width", "channels"]}}
POSITIONS = [0, 4, 11, 36]
LENGTH = 4 + 89 + 6 * 3


def opened(folder: Path, **options) -> Actor:
    """Return an actor with random weights, of a checkpoint in ``folder``."""
    return Actor.load(untrained(rung_of("chunked_mlp", **options), folder).path)


def batch_of(rows: int, chunk: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"observation.state": (4,), "observation.environment_state": (89,), "action": (chunk, 4)}
    return {key: torch.randn(rows, *shape, generator=generator) for key, shape in shapes.items()}


def test_actions_beyond_the_episode_do_not_count(tmp_path):
    policy = opened(tmp_path)._policy
    batch = batch_of(3) | {"action_is_pad": torch.tensor([[False] * 4, [False, False, True, True], [True] * 4])}
    loss, _ = policy.forward(batch)
    errors = (policy.predict_action_chunk(batch) - batch["action"]).abs()
    torch.testing.assert_close(loss, torch.cat([errors[0].flatten(), errors[1, :2].flatten()]).mean())
    batch["action"][batch["action_is_pad"]] = 1e6
    assert torch.equal(policy.forward(batch)[0], loss)
    batch["action_is_pad"][:] = True
    assert policy.forward(batch)[0] == 0


def test_it_sees_clipped_vectors_and_differences_of_positions_in_decimetres(tmp_path):
    folder = tmp_path / "pretrained_model"
    actor = opened(tmp_path, positions=POSITIONS, input_clip=3.0)
    actor._preprocessor.steps[-1].load_state_dict(
        {
            "observation.environment_state.mean": torch.ones(89),
            "observation.environment_state.std": torch.full((89,), 0.5),
        }
    )
    seen = []
    actor._policy.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    batch = {key: 0.1 * values for key, values in batch_of(5).items() if key != "action"}
    state = batch["observation.environment_state"]
    actor._policy.predict_action_chunk(actor._preprocessor(batch))
    points = [state[:, start : start + 3] for start in POSITIONS]
    differences = [10 * (points[a] - points[b]) for a in range(4) for b in range(a + 1, 4)]
    expected = torch.cat([(state - 1) / 0.5, batch["observation.state"], *differences], dim=1)
    assert expected.abs().max() > 3, "something is clipped"
    assert seen[0].shape == (5, LENGTH)
    torch.testing.assert_close(seen[0], expected.clamp(-3, 3))
    assert json.loads((folder / "config.json").read_text())["positions"] == POSITIONS


@pytest.mark.parametrize("steps", [3, 100, 11_000])
def test_the_learning_rate_ends_at_zero_however_long_the_training(steps):
    weights = torch.nn.Linear(1, 1)
    config = policy_config(rung_of("chunked_mlp"), "cpu")
    optimizer = config.get_optimizer_preset().build(weights.parameters())
    scheduler = config.get_scheduler_preset().build(optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == config.optimizer_lr
    assert rates.index(max(rates)) == min(500, steps // 20)
    assert rates[-1] <= config.optimizer_lr * 3 / steps
    assert optimizer.param_groups[0]["lr"] == 0


@pytest.mark.parametrize(
    ("options", "features", "expected"),
    [
        ({}, METAWORLD | CAMERA, "vectors alone, got the image 'observation.image'"),
        ({}, {"action": METAWORLD["action"]}, "at least one vector, got no input"),
        ({"positions": [0, 87]}, METAWORLD, r"need 90 numbers of 'observation.environment_state', which has 89"),
        ({"positions": [0, 4]}, numbers(observation__state=8, action=2), "which is not among the inputs"),
    ],
)
def test_features_that_it_cannot_learn_from_are_named(options, features, expected):
    with pytest.raises(ParameterError, match=expected):
        check_policy(rung_of("chunked_mlp", **options), "cpu", features)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n_action_steps": 5}, r"n_action_steps should be between 1 and chunk_size \(4\), got 5"),
        ({"positions": [4]}, "at least two, which have a difference"),
        ({"positions": [4, 4]}, "different indices from 0 on"),
        ({"positions": [-1, 4]}, "different indices from 0 on"),
        ({"n_layers": 0}, "n_layers should be at least 1, got 0"),
        ({"input_clip": 0.0}, "input_clip should be more than 0"),
        ({"n_obs_steps": 2}, "n_obs_steps should be 1"),
    ],
)
def test_options_without_a_valid_value_are_named(options, expected):
    with pytest.raises(ParameterError, match=f"options of 'chunked_mlp' are not valid: .*{expected}"):
        policy_config(rung_of("chunked_mlp", **options), "cpu")


def test_eight_episodes_share_a_call_and_none_feels_the_others(tmp_path):
    from leagents_kedro.simulation.environments import environment_of

    actor = opened(tmp_path, hidden_dim=256, positions=POSITIONS)
    actor.bind(environment_of("metaworld_state").config("reach-v3", {}))
    rng = np.random.default_rng(0)
    seen = [{"agent_pos": rng.normal(size=4), "environment_state": rng.normal(size=89)} for _ in range(11)]
    calls = []
    actor._policy.model.register_forward_hook(lambda *_: calls.append(1))
    chunks = actor.predict(seen, ["?"] * 11, range(11))
    assert len(calls) == 2, "of eight rows each"
    assert chunks.shape == (11, 4, 4)
    for number, observation in enumerate(seen):
        np.testing.assert_array_equal(actor.predict([observation], ["?"], [0])[0], chunks[number])


def test_one_action_at_a_time_is_the_chunk(tmp_path):
    policy, batch = opened(tmp_path)._policy, batch_of(2)
    chunk = policy.predict_action_chunk(batch)
    for step in range(2 * policy.config.n_action_steps):
        assert torch.equal(policy.select_action(batch), chunk[:, step % policy.config.n_action_steps])
    policy.select_action(batch)
    policy.reset()
    assert torch.equal(policy.select_action(batch), chunk[:, 0])


def command(name: str, *arguments: str, folder: Path) -> None:
    environment = os.environ | {"MUJOCO_GL": "egl", "HF_HUB_OFFLINE": "1"}
    program = str(Path(sys.executable).with_name(name))
    ended = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]


@pytest.mark.slow
def test_lerobots_commands_train_resume_and_evaluate_it(settings, tmp_path):
    shards = Shards(write_reaches(tmp_path / "mix"))
    rung = rung_of("chunked_mlp", steps=6, positions=POSITIONS)
    exact = settings.model_copy(update={"shortcuts": False, "save_every_steps": 4})
    ours = train(shards, [0, 1], rung, exact, None, tmp_path / "ours", tmp_path / "frames", lambda *_: None)
    plugin = "--policy.discover_packages_path=leagents_kedro.policies.chunked_mlp"
    command(
        "lerobot-train",
        f"--dataset.root={shards.root}",
        *("--dataset.repo_id=local/mix", "--policy.type=chunked_mlp", plugin, "--policy.device=cpu"),
        *("--policy.push_to_hub=false", "--policy.chunk_size=4", "--policy.n_action_steps=4"),
        *("--policy.hidden_dim=16", f"--policy.positions={POSITIONS}", f"--seed={exact.seed}", "--num_workers=0"),
        *(f"--batch_size={exact.batch_size}", "--steps=6", "--save_freq=4", "--env_eval_freq=0"),
        f"--output_dir={tmp_path / 'theirs'}",
        folder=tmp_path,
    )
    theirs = tmp_path / "theirs" / "checkpoints" / "000006"
    for file in ("model.safetensors", "policy_preprocessor.json"):
        first, second = ((folder / "pretrained_model" / file).read_bytes() for folder in (ours, theirs))
        assert first == second, file
    shutil.rmtree(theirs)
    config = tmp_path / "theirs" / "checkpoints" / "000004" / "pretrained_model" / "train_config.json"
    command("lerobot-train", f"--config_path={config}", "--resume=true", plugin, folder=tmp_path)
    assert checkpoint_step(theirs) == 6
    command(
        "lerobot-eval",
        *("--env.type=metaworld_state", "--env.task=reach-v3", "--env.episode_length=20"),
        "--env.discover_packages_path=leagents_kedro.simulation",
        *(f"--policy.path={ours / 'pretrained_model'}", "--policy.device=cpu"),
        *("--eval.n_episodes=1", "--eval.batch_size=1", f"--output_dir={tmp_path / 'eval'}"),
        folder=tmp_path,
    )
    assert json.loads((tmp_path / "eval" / "eval_info.json").read_text())["overall"]["n_episodes"] == 1


def test_a_checkpoint_holds_safetensors_and_json_alone(shards, mlp, settings, tmp_path):
    folder = train(shards, [0, 1], mlp, settings, None, tmp_path / "work", tmp_path / "frames", lambda *_: None)
    assert {file.suffix for file in folder.rglob("*") if file.is_file()} == {".json", ".safetensors"}
    assert Actor.load(folder).chunked
