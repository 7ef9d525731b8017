"""Datasets as LeRobot opens them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leagents_kedro.episodes.checks import check_dataset, check_episodes
from leagents_kedro.episodes.format import time_tolerance_s
from leagents_kedro.episodes.shards import Shards

if TYPE_CHECKING:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset


def opened(
    shards: Shards,
    episodes: Sequence[int] | None = None,
    delta_timestamps: dict[str, list[float]] | None = None,
) -> "LeRobotDataset":
    """Open a dataset, or some of its ``episodes``, with LeRobot.

    Raises:
        EpisodesError: The dataset is incomplete or has no such episodes; LeRobot would look for them on the Hub.
    """
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    check_dataset(shards.root)
    if episodes is not None:
        check_episodes(shards, episodes)
        episodes = [int(episode) for episode in episodes]
    return LeRobotDataset(
        "local/shards",
        root=shards.root,
        episodes=episodes,
        delta_timestamps=delta_timestamps,
        tolerance_s=time_tolerance_s(shards.fps),
        video_backend="pyav",  # comes with LeRobot; torchcodec needs libraries of the system
    )
