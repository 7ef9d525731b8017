"""What LeRobot would refuse in a training is found on a few frames of the mix, and told with the likely fix."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leagents_kedro.doctor.checkpoints import examine_checkpoint
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError, EpisodesError, ParameterError, TrainingError
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.training import check_policy, train, try_training
from support.datasets import METAWORLD, numbers, write_random, write_reaches
from support.policies import SMALL, rung_of, untrained

PIXELS = METAWORLD | {
    "observation.image": {"dtype": "image", "shape": (32, 32, 3), "names": ["height", "width", "channels"]}
}


@pytest.fixture(scope="module")
def reaches(tmp_path_factory):
    return Shards(write_reaches(tmp_path_factory.mktemp("mix") / "v3"))


def tried(shards, rung, settings, tmp_path, initial=None):
    try_training(shards, [1, 0], rung, settings, initial, tmp_path / "frames")


def test_what_can_be_trained_passes_and_leaves_nothing(reaches, settings, tmp_path):
    initial = untrained(rung_of(), tmp_path / "initial")
    tried(reaches, rung_of(), settings, tmp_path)
    tried(reaches, rung_of(pretrained_path=str(initial.pretrained_model)), settings, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["initial"]


def test_rewards_that_the_mix_lacks_are_missed(reaches, settings, tmp_path):
    with pytest.raises(EpisodesError, match=r"'tdmpc' learns from 'next.reward', which it does not have"):
        tried(reaches, rung_of("tdmpc"), settings, tmp_path)


def test_weights_of_another_environment_are_told_by_their_features(reaches, settings, tmp_path):
    other = METAWORLD | numbers(observation__state=9)
    weights = untrained(rung_of(), tmp_path / "other", features=other).pretrained_model
    for rung, initial in ((rung_of(pretrained_path=str(weights)), None), (rung_of(), weights)):
        with pytest.raises(CheckpointError, match=r"trained with 'observation.state' \(9,\), and .* has \(4,\)"):
            tried(reaches, rung, settings, tmp_path, initial)


def test_a_backbone_that_cannot_be_downloaded_is_named_with_its_option(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody answers there
    pixels = Shards(write_random(tmp_path / "mix", PIXELS, (3, 3)))
    with pytest.raises(ParameterError, match=r"URLError: .*options.pretrained_backbone_weights: null"):
        tried(pixels, rung_of(), settings, tmp_path)
    tried(pixels, rung_of(pretrained_backbone_weights=None), settings, tmp_path)


def test_weights_that_cannot_be_downloaded_are_named(reaches, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody answers there
    rung = rung_of(pretrained_path="nobody/nothing", pretrained_revision="main")
    with pytest.raises(ParameterError, match=r"Fix: 'nobody/nothing' must be reachable under pretrained_revision"):
        tried(reaches, rung, settings, tmp_path)


def edited(name, change):
    """Change what the JSON of a file holds, in place or by what is returned."""

    def damage(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(content) or content))

    return damage


def weights(change):
    """Change the weights, by name, by what is returned."""

    def damage(folder):
        from safetensors.torch import load_file, save_file

        save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")

    return damage


def of_a_gpu(processor):
    next(step for step in processor["steps"] if step["registry_name"] == "device_processor")["config"]["device"] = (
        "cuda"
    )


def to(name, content=None):
    """Rename the weights, or write something else in their place."""

    def damage(folder):
        file = folder / "model.safetensors"
        file.rename(folder / name) if content is None else (folder / name).write_bytes(content)

    return damage


PRE, POST = "policy_preprocessor.json", "policy_postprocessor.json"
FOUND = {
    "torn": (to("model.safetensors", b"12"), "model.safetensors: expected safetensors, got something else"),
    "a pointer": (to("model.safetensors", b"version https://git-lfs.github.com/spec/v1"), "git lfs pull"),
    "a pointer for options": (to("config.json", b"version https://git-lfs.github.com/spec/v1"), "git lfs pull"),
    "pickled": (to("pytorch_model.bin"), "lacks model.safetensors. Fix: .* convert them where they are trusted"),
    "an adapter": (to("adapter_model.safetensors"), "holds an adapter .*Fix: merge it into the policy"),
    "a list": (edited("config.json", lambda config: [1]), r"config.json: expected a JSON object, .*\(a list\)"),
    "no type": (
        edited("config.json", lambda config: {"dim_model": 8}),
        "a checkpoint of None, but the rung trains 'act'",
    ),
    "distributed": (
        weights(lambda found: {f"module.{name}": value for name, value in found.items()}),
        "all weights of 'act', but .* are missing or of another shape, .* it has 'module.model.* instead",
    ),
    "a weight less": (
        weights(lambda found: {name: found[name] for name in list(found)[1:]}),
        "1 of .* are missing or of another shape, first 'model.action_head.bias'",
    ),
    "a weight of another shape": (
        weights(lambda found: found | {"model.action_head.bias": found["model.action_head.bias"][:2].clone()}),
        "1 of .* are missing or of another shape, first 'model.action_head.bias'",
    ),
    "no steps": (edited(PRE, lambda processor: {"name": "x"}), f"{PRE}: expected the steps of a processor"),
    "a new step": (
        edited(PRE, lambda processor: processor["steps"].append({"registry_name": "new_processor", "config": {}})),
        "cannot make its processors: .*'new_processor' not found in registry. Fix: take weights",
    ),
    "a new option of a step": (
        edited(PRE, lambda processor: processor["steps"][0]["config"].update(glow=1)),
        "cannot make its processors: .*'glow'. Fix: take weights that the LeRobot which is installed wrote",
    ),
}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return untrained(rung_of(), tmp_path_factory.mktemp("pretrained")).pretrained_model


@pytest.mark.parametrize(("damage", "message"), FOUND.values(), ids=FOUND)
def test_weights_of_others_are_looked_at_before_there_is_a_mix(pretrained, tmp_path, damage, message):
    folder = Path(shutil.copytree(pretrained, tmp_path / "copy"))
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        check_policy(rung_of(pretrained_path=str(folder)), "cpu", METAWORLD)


def test_weights_of_a_machine_with_a_gpu_are_taken(pretrained, reaches, settings, tmp_path):
    folder = Path(shutil.copytree(pretrained, tmp_path / "copy"))
    for name in (PRE, POST):
        edited(name, of_a_gpu)(folder)
    tried(reaches, rung_of(pretrained_path=str(folder)), settings, tmp_path)


def test_weights_that_are_no_numbers_are_found_by_the_first_loss(pretrained, reaches, settings, tmp_path):
    folder = Path(shutil.copytree(pretrained, tmp_path / "copy"))
    weights(lambda found: {name: value * float("nan") for name, value in found.items()})(folder)
    with pytest.raises(TrainingError, match=r"loss of 'act' on the first frames .* is nan; .*copy: `kedro loop doctor"):
        tried(reaches, rung_of(pretrained_path=str(folder)), settings, tmp_path)


@pytest.mark.slow
def test_weights_from_before_processors_are_migrated_as_the_doctor_says(tmp_path):
    """The script ends with a look at the Hub, after it has written everything."""
    import torch

    features = numbers(observation__state=4, action=4) | {"observation.image": PIXELS["observation.image"]}
    old = untrained(rung_of(pretrained_backbone_weights=None), tmp_path, features=features).pretrained_model
    sides = {"normalize_inputs.buffer_observation_state": 4, "unnormalize_outputs.buffer_action": 4}
    moments = {
        f"{side}.{name}": torch.full((size,), value)
        for side, size in sides.items()
        for name, value in (("mean", 0.0), ("std", 1.0))
    }
    moments |= {f"normalize_inputs.buffer_observation_image.{name}": torch.ones(3, 1, 1) for name in ("mean", "std")}
    weights(lambda found: found | moments)(old)
    for file in old.glob("policy_*"):
        file.unlink()
    (found,) = examine_checkpoint(old)
    subprocess.run(found.command.replace("python", sys.executable, 1), shell=True, check=False)
    assert examine_checkpoint(old.with_name("pretrained_model_migrated")) == []


PLUGIN = {
    "lerobot_policy_here/__init__.py": "from . import configuration_here\n",
    "lerobot_policy_here/configuration_here.py": """
from dataclasses import dataclass
from lerobot.configs import PreTrainedConfig
from lerobot.policies.act.configuration_act import ACTConfig

@PreTrainedConfig.register_subclass("here")
@dataclass
class HereConfig(ACTConfig):
    pass
""",
    "lerobot_policy_here/modeling_here.py": """
from lerobot.policies.act.modeling_act import ACTPolicy
from .configuration_here import HereConfig

class HerePolicy(ACTPolicy):
    config_class = HereConfig
    name = "here"
""",
    "lerobot_policy_here/processor_here.py": """
from lerobot.policies.act.processor_act import make_act_pre_post_processors as make_here_pre_post_processors
""",
    "lerobot_policy_here-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lerobot_policy_here\nVersion: 1.0\n",
}


def install(plugin, folder, monkeypatch):
    for name, content in plugin.items():
        file = folder / "plugins" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder / "plugins")])


def test_a_policy_of_a_plug_in_is_found_trained_and_acts(reaches, settings, tmp_path, monkeypatch):
    install(PLUGIN, tmp_path, monkeypatch)
    rung = rung_of("here", options=SMALL)
    folder = train(reaches, [0, 1], rung, settings, None, tmp_path / "work", Path("nowhere"), lambda *_: None)
    assert not Actor.load(folder).chunked, "nothing is known of its chunks"


LAME = """
    def select_action(self, batch):
        return super().select_action(batch)[:, :3]
"""


def test_a_policy_that_learns_but_cannot_act_is_refused(reaches, settings, tmp_path, monkeypatch):
    plugin = {
        name.replace("here", "lame"): content.replace("here", "lame").replace("Here", "Lame")
        for name, content in PLUGIN.items()
    }
    plugin["lerobot_policy_lame/modeling_lame.py"] += LAME
    install(plugin, tmp_path, monkeypatch)
    rung = rung_of("lame", options=SMALL)
    with pytest.raises(CheckpointError, match=r"'lame' should give actions of shape \(4,\), gives \(3,\)"):
        check_policy(rung, "cpu", METAWORLD)
    with pytest.raises(ParameterError, match=r"'lame' cannot act here: RuntimeError: The size of tensor a \(3\)"):
        tried(reaches, rung, settings, tmp_path)
