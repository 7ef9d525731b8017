"""Training batches from columns and decoded frames, the same bit for bit as LeRobotDataset's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from leagents_kedro.episodes.checks import check_episodes
from leagents_kedro.episodes.columns import numeric_features, read_columns, visual_features
from leagents_kedro.episodes.format import TIME_TOLERANCE_S
from leagents_kedro.episodes.frame_cache import FrameCache
from leagents_kedro.episodes.frames import frame_readers
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_RESIDENT_SHARE = 0.25


class BatchReader:
    """Reads the numeric columns of some episodes once; a batch is then one gather a key.

    The result of `batch` equals ``default_collate`` over the items of ``LeRobotDataset(episodes=...,
    video_backend="pyav")`` in keys, dtypes, shapes, and values, and is on the device already. As there, ``frames``
    count within the selected episodes, which stand in the order of the dataset whatever the order of ``episodes``.
    """

    num_frames: int

    def __init__(
        self,
        shards: Shards,
        episodes: Sequence[int] | None,
        delta_timestamps: dict[str, list[float]] | None,
        frame_cache: FrameCache | None = None,
        device: str = "cpu",
    ):
        """Read all numbers of ``episodes`` (None: of the whole dataset) into memory, and decode their frames.

        Args:
            shards: The dataset.
            episodes: Episode indices in any order.
            delta_timestamps: Seconds relative to a frame, multiples of 1 / fps, at which a feature is given.
            frame_cache: Where decoded images and videos are kept; without one they are decoded for each batch.
            device: Where batches are wanted; a GPU also holds the columns where they take little of its memory.

        Raises:
            EpisodesError: The dataset has text or depth maps, lacks episodes or a feature that ``delta_timestamps``
                names, or its frames are not where ``meta/episodes`` says.
        """
        import torch
        from lerobot.datasets.feature_utils import check_delta_timestamps, get_delta_indices

        _check_readable(shards, delta_timestamps or {})
        check_delta_timestamps(delta_timestamps or {}, shards.fps, tolerance_s=TIME_TOLERANCE_S)
        if episodes is not None:
            check_episodes(shards, episodes)
        chosen = np.arange(shards.total_episodes) if episodes is None else np.unique(episodes)
        columns = read_columns(shards.data_files, numeric_features(shards.features), episodes)
        self._borders = torch.from_numpy(_episode_borders(shards, chosen, columns))
        self.num_frames = len(self._borders)
        self._frames = frame_readers(shards, chosen, columns["timestamp"], frame_cache)
        videos = [key for key in self._frames if shards.features[key]["dtype"] == "video"]
        self._videos = set(videos)
        self._keys = videos + [key for key in shards.features if key not in self._videos]
        self._columns = {key: torch.from_numpy(_as_python_numbers(columns.pop(key))) for key in list(columns)}
        self._sentences = [shards.tasks[task] for task in self._columns["task_index"].tolist()]
        self._offsets = {
            key: torch.tensor(offsets) for key, offsets in get_delta_indices(delta_timestamps or {}, shards.fps).items()
        }
        self._device = torch.device(device)
        self._home = torch.device("cpu")
        if fits(sum(column.nbytes for column in self._columns.values()), _free_bytes(self._device)):
            self._home = self._device
            self._columns = {key: column.to(self._home) for key, column in self._columns.items()}

    def batch(self, frames: "Tensor") -> "dict[str, Tensor | list[str]]":
        """Return the batch of ``frames``, (batch,) int64 between 0 and `num_frames`.

        Values are (batch, *shape); with deltas (batch, deltas, *shape), beyond the episode those of its first or
        last frame, and marked in ``<key>_is_pad`` (batch, deltas). Images are (channels, height, width) float32 in
        [0, 1]. ``task`` is a list of sentences.
        """
        first, last = self._borders.index_select(0, frames).split(1, dim=1)
        wanted = {key: frames[:, None] + offsets for key, offsets in self._offsets.items()}
        within = {key: positions.clamp(first, last) for key, positions in wanted.items()}
        here = placed(frames, self._home)
        return {
            **{
                key: self._images(key, within.get(key, frames))
                if key in self._frames
                else self._numbers(key, within.get(key), here)
                for key in self._keys
            },
            **{f"{key}_is_pad": placed(positions != within[key], self._device) for key, positions in wanted.items()},
            "task": [self._sentences[frame] for frame in frames.tolist()],
        }

    def _numbers(self, key: str, within: "Tensor | None", here: "Tensor") -> "Tensor":
        column = self._columns[key]
        gathered = column.index_select(0, here) if within is None else column[placed(within, self._home)]
        return placed(gathered, self._device)

    def _images(self, key: str, frames: "Tensor") -> "Tensor":
        """Return scaled images; they travel to the device as bytes, a quarter of their size."""
        import torch

        pixels = placed(self._frames[key].read(frames, pinned=self._device.type == "cuda"), self._device)
        scaled = pixels.to(torch.float32)
        if key not in self._videos:
            # LeRobot scales images before they are on the device. A GPU rounds as a CPU does only if the divisor is a
            # tensor: by a number it multiplies with the reciprocal.
            return scaled.div_(torch.tensor(255.0, device=self._device))
        scaled.div_(255.0)
        # LeRobot gives a single delta of a video no dimension of its own.
        return scaled.squeeze(1) if frames.ndim == 2 and frames.shape[1] == 1 else scaled


def placed(tensor: "Tensor", device: "torch.device") -> "Tensor":
    """Return ``tensor`` on ``device``, itself where it is there; a copy to CUDA waits for no work that is under way."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def fits(needed_bytes: int, free_bytes: int) -> bool:
    """Return whether columns may live on a device: they leave most of its memory to the policy."""
    return needed_bytes <= _RESIDENT_SHARE * free_bytes


def _free_bytes(device: "torch.device") -> int:
    """Return the free memory of a CUDA device; on other devices columns have no second home."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def _check_readable(shards: Shards, delta_timestamps: dict[str, list[float]]) -> None:
    readable = numeric_features(shards.features) | visual_features(shards.features)
    if others := sorted(set(shards.features) - set(readable)):
        raise EpisodesError(
            f"{shards.root}: only numbers, images, and videos can be read as batches, but {', '.join(others)} are none"
        )
    if unknown := sorted(set(delta_timestamps) - set(readable)):
        raise EpisodesError(f"{shards.root}: no feature {', '.join(unknown)}; there are {', '.join(readable)}")


def _episode_borders(shards: Shards, episodes: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the positions of the first and last frame of each frame's episode, (frames, 2) int64."""
    index = shards.index
    length = index.length[episodes]
    end = length.cumsum()
    begin = end - length
    expected = np.arange(length.sum()) + np.repeat(index.from_index[episodes] - begin, length)
    if not np.array_equal(columns["index"], expected):
        raise EpisodesError(
            f"{shards.root}: frames in data/ are not where meta/episodes says; the dataset is damaged, write it anew"
        )
    return np.repeat(np.stack([begin, end - 1], axis=1), length, axis=0)


def _as_python_numbers(values: np.ndarray) -> np.ndarray:
    """Return ``values`` in the dtype that torch gives Python's numbers, by way of which LeRobot reads them."""
    dtype = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}[values.dtype.kind]
    return np.ascontiguousarray(values, dtype)
