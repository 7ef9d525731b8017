import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from leagents_kedro.constitution.commands import training_command
from leagents_kedro.episodes.shards import Episode, Shards
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.errors import CheckpointError, ParameterError, TrainingError
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.checkpoints import checkpoint_digest, checkpoint_step
from leagents_kedro.policies.training import train

EPISODES = [0, 1, 3]
STATE = {"dtype": "float32", "shape": (4,), "names": None}


def silent(step: int, steps: int, loss: float) -> None:
    pass


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "pretrained_model" / "model.safetensors")


def normalizer(checkpoint: Path) -> dict[str, torch.Tensor]:
    (path,) = (checkpoint / "pretrained_model").glob("policy_preprocessor*normalizer*.safetensors")
    return load_file(path)


def predictions(checkpoint: Path) -> torch.Tensor:
    from lerobot.configs import PreTrainedConfig
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors

    folder = checkpoint / "pretrained_model"
    generator = torch.Generator().manual_seed(0)
    batch = {
        "observation.state": torch.randn(32, 4, generator=generator),
        "observation.environment_state": torch.randn(32, 6, generator=generator),
    }
    config = PreTrainedConfig.from_pretrained(folder)
    preprocessor, _ = make_pre_post_processors(config, str(folder))
    return get_policy_class(config.type).from_pretrained(folder).predict_action_chunk(preprocessor(batch))


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("policy", ["rung", "decayed", "mlp"])
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(shards, policy, settings, tmp_path, request):
    rung = request.getfixturevalue(policy)
    undisturbed = train(shards, EPISODES, rung, settings, None, tmp_path / "undisturbed", tmp_path / "frames", silent)

    class Killed(Exception):
        pass

    def killed_after_nine_steps(step: int, steps: int, loss: float) -> None:
        if step == 8:
            raise Killed

    with pytest.raises(Killed):
        train(shards, EPISODES, rung, settings, None, tmp_path / "killed", tmp_path / "frames", killed_after_nine_steps)
    done = []
    resumed = train(
        shards,
        EPISODES,
        rung,
        settings,
        None,
        tmp_path / "killed",
        tmp_path / "frames",
        lambda step, *_: done.append(step),
    )

    assert done[0] > 4, "steps before the last checkpoint are not repeated"
    assert checkpoint_step(resumed) == rung.steps
    assert same(weights(resumed), weights(undisturbed))
    assert checkpoint_digest(resumed / "pretrained_model") == checkpoint_digest(undisturbed / "pretrained_model")


@pytest.mark.parametrize(
    ("policy", "shortcuts"),
    [
        ("rung", True),
        ("rung", False),
        ("mlp", False),
        pytest.param("mlp", True, marks=pytest.mark.slow),
        pytest.param("decayed", False, marks=pytest.mark.slow),
    ],
)
def test_training_is_what_lerobot_train_does(shards, policy, settings, tmp_path, shortcuts, request):
    rung = request.getfixturevalue(policy)
    if rung.policy_type == "act":
        # LeRobot's loader draws from torch's generator once an epoch, so the dropout masks of the two would differ.
        rung = rung.model_copy(update={"options": rung.options | {"dropout": 0.0, "use_vae": False}})
    import draccus
    from lerobot.configs.default import DatasetConfig
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.optim import LRSchedulerConfig
    from lerobot.policies.factory import make_policy_config
    from lerobot.scripts.lerobot_train import train as lerobot_train

    switched = settings.model_copy(update={"shortcuts": shortcuts})
    ours = train(shards, EPISODES, rung, switched, None, tmp_path / "ours", tmp_path / "frames", silent)
    policy = make_policy_config(rung.policy_type, device="cpu", push_to_hub=False, **rung.options)
    command = training_command(rung, settings).arguments
    given = {}
    if schedule := command.get("scheduler"):
        given = {
            "use_policy_training_preset": command["use_policy_training_preset"],
            "optimizer": policy.get_optimizer_preset(),
            "scheduler": draccus.decode(LRSchedulerConfig, schedule),
        }
    config = TrainPipelineConfig(
        dataset=DatasetConfig(repo_id="local/mix", root=str(shards.root), episodes=EPISODES),
        policy=policy,
        **given,
        output_dir=tmp_path / "theirs",
        seed=settings.seed,
        num_workers=0,
        batch_size=settings.batch_size,
        steps=rung.steps,
        env_eval_freq=0,
    )
    lerobot_train(config)
    theirs = tmp_path / "theirs" / "checkpoints" / "last"
    # Weights without effect on the output (the attention's key bias) have only rounding errors for gradients.
    rounding = {"rtol": 1e-3, "atol": 1e-4} if shortcuts else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(predictions(ours), predictions(theirs), **rounding)
    assert same(normalizer(ours), normalizer(theirs))


@pytest.fixture(params=["image", pytest.param("video", marks=pytest.mark.slow)])
def seen(request, tmp_path):
    """A mix with a camera."""
    rng = np.random.default_rng(0)
    camera = {"dtype": request.param, "shape": (64, 64, 3), "names": ["height", "width", "channels"]}
    features = {"observation.images.top": camera, "observation.state": STATE, "action": STATE}
    episodes = [
        Episode(
            "push",
            {
                "observation.images.top": rng.integers(0, 256, (frames, 64, 64, 3), np.uint8),
                "observation.state": rng.normal(size=(frames, 4)).astype(np.float32),
                "action": rng.normal(size=(frames, 4)).astype(np.float32),
            },
        )
        for frames in (5, 4, 6)
    ]
    write_episodes(tmp_path / "mix", episodes, features, fps=10, robot_type="test")
    return Shards(tmp_path / "mix")


def test_policies_get_the_batches_that_lerobot_train_gives_them(seen, rung, settings, tmp_path, monkeypatch):
    from lerobot.configs.default import DatasetConfig
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_policy_config
    from lerobot.scripts.lerobot_train import train as lerobot_train

    received = []
    forward = ACTPolicy.forward

    def recorded(policy, batch):
        received.append(batch)
        return forward(policy, batch)

    monkeypatch.setattr(ACTPolicy, "forward", recorded)
    rung = rung.model_copy(update={"steps": 4, "options": rung.options | {"pretrained_backbone_weights": None}})
    few = settings.model_copy(update={"batch_size": 4})
    train(seen, [0, 2], rung, few, None, tmp_path / "ours", tmp_path / "frames", silent)
    ours = list(received)
    received.clear()
    dataset = DatasetConfig(repo_id="local/mix", root=str(seen.root), episodes=[0, 2], video_backend="pyav")
    config = TrainPipelineConfig(
        dataset=dataset,
        policy=make_policy_config("act", device="cpu", push_to_hub=False, **rung.options),
        output_dir=tmp_path / "theirs",
        seed=few.seed,
        num_workers=0,
        batch_size=few.batch_size,
        steps=rung.steps,
        env_eval_freq=0,
        save_checkpoint=False,
    )
    lerobot_train(config)
    assert len(ours) == len(received) == rung.steps
    for mine, theirs in zip(ours, received, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            if isinstance(value, torch.Tensor):
                assert mine[key].dtype == value.dtype, key
                assert torch.equal(mine[key], value), key
            else:
                assert mine[key] == value, key


def test_a_rung_can_let_the_learning_rate_of_any_policy_decay_to_zero(shards, rung, decayed, settings, tmp_path):
    def rates(rung) -> dict:
        folder = train(
            shards, EPISODES, rung, settings, None, tmp_path / str(rung.scheduler), tmp_path / "frames", silent
        )
        [first, *_] = json.loads((folder / "training_state" / "optimizer_param_groups.json").read_text())
        return {name: first.get(name) for name in ("initial_lr", "lr")}

    assert rates(decayed) == {"initial_lr": 1e-3, "lr": 0}
    assert rates(rung) == {"initial_lr": None, "lr": 1e-3}


def test_training_leaves_torch_as_it_was(shards, rung, settings, tmp_path):
    def fast() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark

    before, during = fast(), []
    folder, frames = tmp_path / "training", tmp_path / "frames"
    train(shards, EPISODES, rung, settings, None, folder, frames, lambda *_: during.append(fast()))
    assert set(during) == {(True, True)}
    assert fast() == before


def test_the_checkpoint_has_lerobots_layout(shards, rung, settings, tmp_path):
    checkpoint = train(shards, EPISODES, rung, settings, None, tmp_path, tmp_path / "frames", silent)
    names = {path.name for path in (checkpoint / "pretrained_model").iterdir()}
    assert {"config.json", "model.safetensors", "train_config.json", "policy_preprocessor.json"} <= names
    assert {"training_step.json", "optimizer_state.safetensors"} <= {
        path.name for path in (checkpoint / "training_state").iterdir()
    }
    assert "tmp" not in (checkpoint / "pretrained_model" / "config.json").read_text()
    actor = Actor.load(checkpoint)
    assert actor.chunked


@pytest.mark.parametrize(("normalization", "kept"), [("keep", True), ("refresh", False)])
def test_continuing_keeps_or_refreshes_the_statistics(shards, shards_of, rung, settings, tmp_path, normalization, kept):
    first = train(shards, EPISODES, rung, settings, None, tmp_path / "first", tmp_path / "frames", silent)
    grown = shards_of(tmp_path / "grown", [9, 9, 9, 9], scale=3.0)
    continuing = settings.model_copy(update={"normalization": normalization})
    second = train(
        grown, EPISODES, rung, continuing, first / "pretrained_model", tmp_path / "second", tmp_path / "frames", silent
    )
    assert same(normalizer(first), normalizer(second)) is kept
    assert not same(weights(first), weights(second))


def test_data_order_is_lerobots(shards, rung, settings):
    from lerobot.datasets.sampler import EpisodeAwareSampler

    from leagents_kedro.policies.training import sampler_generator

    lengths = torch.as_tensor(shards.index.length[EPISODES]).tolist()
    ends = torch.tensor(lengths).cumsum(0).tolist()
    sampler = EpisodeAwareSampler(
        [end - length for end, length in zip(ends, lengths, strict=True)], ends, shuffle=True, seed=settings.seed
    )
    for epoch in range(2):
        order = torch.randperm(sum(lengths), generator=sampler_generator(settings.seed, epoch))
        assert order.tolist() == list(islice(sampler, sum(lengths)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"policy_type": "actt"}, "no policy_type 'actt'"),
        ({"options": {"chunk_sise": 4}}, "no option of act 'chunk_sise'.*'chunk_size'"),
        ({"options": {"chunk_size": "four"}}, "not valid"),
        ({"options": {"chunk_size": 4, "n_action_steps": 8}}, "not valid"),
        ({"pretrained_path": "someone/policy"}, "needs a pretrained_revision"),
    ],
)
def test_a_rung_that_cannot_be_trained_is_named(shards, rung, settings, tmp_path, changes, expected):
    with pytest.raises(ParameterError, match=expected):
        train(shards, EPISODES, rung.model_copy(update=changes), settings, None, tmp_path, tmp_path / "frames", silent)


def test_weights_of_another_shape_are_refused(shards, rung, settings, tmp_path):
    first = train(shards, EPISODES, rung, settings, None, tmp_path / "first", tmp_path / "frames", silent)
    wider = rung.model_copy(update={"options": rung.options | {"dim_model": 32}})
    with pytest.raises(CheckpointError, match="do not fit"):
        train(
            shards,
            EPISODES,
            wider,
            settings,
            first / "pretrained_model",
            tmp_path / "second",
            tmp_path / "frames",
            silent,
        )


def test_an_exploding_loss_stops_training(shards, rung, settings, tmp_path):
    exploding = rung.model_copy(update={"options": rung.options | {"optimizer_lr": 1e30}})
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(shards, EPISODES, exploding, settings, None, tmp_path, tmp_path / "frames", silent)
