"""A small ACT, trained for a second on expert episodes: good enough to succeed and to fail."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.simulation.collection import successful_episodes
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.pool import EnvironmentPool

sys.path.append(str(Path(__file__).parent / "plugins"))  # workers look for plug-ins where their driver does

TASKS = ("reach-v3", "drawer-close-v3")
CHUNK = 10


@pytest.fixture(scope="session")
def demonstrations() -> list[Episode]:
    with EnvironmentPool("metaworld_state", {"episode_length": 120}) as pool:
        return successful_episodes(
            dict.fromkeys(TASKS, 5),
            lambda trials: [demonstrate(trial, pool, 0.1) for trial in trials],
            seed_names=("tests",),
            max_attempts_factor=3,
        )


@pytest.fixture(scope="session")
def checkpoint(demonstrations: list[Episode], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint")
    stats = {}
    for key in ("observation.state", "observation.environment_state", "action"):
        values = np.concatenate([episode.columns[key] for episode in demonstrations])
        stats[key] = {"mean": torch.from_numpy(values.mean(0)), "std": torch.from_numpy(values.std(0))}
    config = ACTConfig(
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (4,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (89,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (4,))},
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        n_encoder_layers=1,
        n_decoder_layers=1,
        use_vae=False,
        dropout=0.0,
        device="cpu",
    )
    policy = ACTPolicy(config)
    preprocessor, postprocessor = make_pre_post_processors(config, dataset_stats=stats)
    frames = _chunks(demonstrations)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3)
    policy.train()
    for _ in range(150):
        chosen = torch.randint(len(frames["action"]), (64,))
        batch = preprocessor({key: values[chosen] for key, values in frames.items()})
        loss, _ = policy.forward(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for part in (policy, preprocessor, postprocessor):
        part.save_pretrained(folder / "pretrained_model")
    return folder


def _chunks(episodes: list[Episode]) -> dict[str, torch.Tensor]:
    """Return frames with the next ``CHUNK`` actions of each, the last one repeated beyond an episode's end."""
    columns: dict[str, list[np.ndarray]] = {}
    for episode in episodes:
        steps = np.arange(len(episode.columns["action"]))
        ahead = steps[:, None] + np.arange(CHUNK)
        columns.setdefault("action", []).append(episode.columns["action"][ahead.clip(max=steps[-1])])
        columns.setdefault("action_is_pad", []).append(ahead > steps[-1])
        for key in ("observation.state", "observation.environment_state"):
            columns.setdefault(key, []).append(episode.columns[key])
    return {key: torch.from_numpy(np.concatenate(values)) for key, values in columns.items()}
