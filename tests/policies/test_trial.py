"""What LeRobot would refuse in a training is found on a few frames of the mix, and told with the likely fix."""

import sys
from pathlib import Path

import pytest

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError, EpisodesError, ParameterError
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.training import train, try_training
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


def test_a_policy_of_a_plug_in_is_found_trained_and_acts(reaches, settings, tmp_path, monkeypatch):
    for name, content in PLUGIN.items():
        file = tmp_path / "plugins" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "plugins")])
    rung = rung_of("here", options=SMALL)
    folder = train(reaches, [0, 1], rung, settings, None, tmp_path / "work", Path("nowhere"), lambda *_: None)
    assert not Actor.load(folder).chunked, "nothing is known of its chunks"
