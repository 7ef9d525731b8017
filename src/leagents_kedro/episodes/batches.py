"""Training batches from columns in memory, the same bit for bit as LeRobotDataset's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from leagents_kedro.episodes.checks import check_episodes
from leagents_kedro.episodes.columns import numeric_features, read_columns
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import DatasetError

if TYPE_CHECKING:
    from torch import Tensor


class BatchReader:
    """Reads the numeric columns of some episodes once; a batch is then one gather a key.

    The result of `batch` equals ``default_collate`` over the items of ``LeRobotDataset(episodes=...)`` in keys,
    dtypes, shapes, and values. As there, ``frames`` count within the selected episodes, which stand in the order of
    the dataset whatever the order of ``episodes``.
    """

    num_frames: int

    def __init__(self, shards: Shards, episodes: Sequence[int] | None, delta_timestamps: dict[str, list[float]] | None):
        """Read all frames of ``episodes`` (None: of the whole dataset) into memory.

        Args:
            shards: The dataset, without images or videos.
            episodes: Episode indices in any order.
            delta_timestamps: Seconds relative to a frame, multiples of 1 / fps, at which a feature is given.

        Raises:
            DatasetError: The dataset has features that are no numbers, lacks episodes or a feature that
                ``delta_timestamps`` names, or its frames are not where ``meta/episodes`` says.
        """
        import torch
        from lerobot.datasets.feature_utils import check_delta_timestamps, get_delta_indices

        _check_readable(shards, delta_timestamps or {})
        check_delta_timestamps(delta_timestamps or {}, shards.fps, tolerance_s=1e-4)
        if episodes is not None:
            check_episodes(shards, episodes)
        columns = read_columns(shards.data_files, numeric_features(shards.features), episodes)
        self._borders = torch.from_numpy(_episode_borders(shards, episodes, columns))
        self.num_frames = len(self._borders)
        self._columns = {key: torch.from_numpy(_as_python_numbers(columns.pop(key))) for key in list(columns)}
        self._sentences = [shards.tasks[task] for task in self._columns["task_index"].tolist()]
        self._offsets = {
            key: torch.tensor(offsets) for key, offsets in get_delta_indices(delta_timestamps or {}, shards.fps).items()
        }

    def batch(self, frames: "Tensor") -> "dict[str, Tensor | list[str]]":
        """Return the batch of ``frames``, (batch,) int64 between 0 and `num_frames`.

        Values are (batch, *shape); with deltas (batch, deltas, *shape), beyond the episode those of its first or
        last frame, and marked in ``<key>_is_pad`` (batch, deltas). ``task`` is a list of sentences.
        """
        first, last = self._borders.index_select(0, frames).split(1, dim=1)
        wanted = {key: frames[:, None] + offsets for key, offsets in self._offsets.items()}
        within = {key: positions.clamp(first, last) for key, positions in wanted.items()}
        return {
            **{
                key: column[within[key]] if key in within else column.index_select(0, frames)
                for key, column in self._columns.items()
            },
            **{f"{key}_is_pad": positions != within[key] for key, positions in wanted.items()},
            "task": [self._sentences[frame] for frame in frames.tolist()],
        }


def _check_readable(shards: Shards, delta_timestamps: dict[str, list[float]]) -> None:
    numeric = numeric_features(shards.features)
    if others := sorted(set(shards.features) - set(numeric)):
        raise DatasetError(
            f"{shards.root}: only numbers can be read as columns, but {', '.join(others)} are not numeric"
        )
    if unknown := sorted(set(delta_timestamps) - set(numeric)):
        raise DatasetError(f"{shards.root}: no feature {', '.join(unknown)}; there are {', '.join(numeric)}")


def _episode_borders(shards: Shards, episodes: Sequence[int] | None, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the positions of the first and last frame of each frame's episode, (frames, 2) int64."""
    index = shards.index
    chosen = np.arange(len(index.length)) if episodes is None else np.unique(episodes)
    length = index.length[chosen]
    end = length.cumsum()
    begin = end - length
    expected = np.arange(length.sum()) + np.repeat(index.from_index[chosen] - begin, length)
    if not np.array_equal(columns["index"], expected):
        raise DatasetError(
            f"{shards.root}: frames in data/ are not where meta/episodes says; the dataset is damaged, write it anew"
        )
    return np.repeat(np.stack([begin, end - 1], axis=1), length, axis=0)


def _as_python_numbers(values: np.ndarray) -> np.ndarray:
    """Return ``values`` in the dtype that torch gives Python's numbers, by way of which LeRobot reads them."""
    dtype = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}[values.dtype.kind]
    return np.ascontiguousarray(values, dtype)
