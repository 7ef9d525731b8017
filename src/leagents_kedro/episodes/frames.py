"""Images and videos of a dataset, frame by frame: where each lies, and its pixels."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.columns import is_depth_map, numeric_features, read_columns, visual_features
from leagents_kedro.episodes.format import VIDEO_PATH, time_tolerance_s
from leagents_kedro.episodes.frame_cache import DecodedFrames, FrameCache, FrameFile, image_pixels
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError

if TYPE_CHECKING:
    from torch import Tensor

type Stream = Callable[[int, list[int]], Iterable[np.ndarray]]
"""Called with a file's number and frames of one episode in that file, it returns their pixels."""
type Located = tuple[list[FrameFile], np.ndarray, np.ndarray]
"""Files, which of them each frame is in, (frames,) int64, and its place there, (frames,) float64."""


class FrameReader:
    """Reads the frames of one image or video feature: decoded ones from the cache, others as LeRobot does."""

    def __init__(self, located: Located, decoded: Sequence[DecodedFrames | None], stream: Stream, tolerance: float):
        """Find each frame in its file, within ``tolerance``; ``decoded`` are its frames, None for what is streamed."""
        files, file, place = located
        self._pixels = [frames.pixels if frames else None for frames in decoded]
        self._file = file
        self._position = np.full(len(file), -1)
        for number, frames in enumerate(decoded):
            if frames:
                within = file == number
                self._position[within] = frames.positions(place[within], files[number].path, tolerance)
        self._stream = stream

    def read(self, frames: "Tensor", *, pinned: bool) -> "Tensor":
        """Return pixels (*frames, channels, height, width) uint8 of ``frames`` (batch, deltas), or (batch,).

        Those of one row are of one episode. ``pinned`` memory is read by a GPU without waiting.
        """
        import torch

        wanted = frames.reshape(len(frames), -1).numpy()
        rows: list[np.ndarray] = []
        for number, row, position in zip(self._file[wanted[:, 0]], wanted, self._position[wanted], strict=True):
            pixels = self._pixels[number]
            rows.extend(self._stream(number, row.tolist()) if pixels is None else (pixels[at] for at in position))
        batch = torch.empty((len(rows), *rows[0].shape), dtype=torch.uint8, pin_memory=pinned)
        np.stack(rows, out=batch.numpy())
        return batch.reshape(*frames.shape, *batch.shape[1:])


def frame_readers(
    shards: Shards, episodes: np.ndarray, timestamps: np.ndarray, frame_cache: FrameCache | None
) -> dict[str, FrameReader]:
    """Return a reader of every image and video feature for the frames of ``episodes``.

    Args:
        shards: The dataset.
        episodes: Episode indices in the dataset's order.
        timestamps: Second of each of their frames within its episode, (frames,) float32.
        frame_cache: Where decoded frames are kept; without one all are streamed.

    Raises:
        EpisodesError: Files are missing or cannot be decoded, or frames are not where ``meta/episodes`` says.
    """
    visual = visual_features(shards.features)
    if not visual:
        return {}
    check_dataset(shards.root)
    if depth := [key for key, feature in visual.items() if is_depth_map(feature)]:
        raise EpisodesError(f"{shards.root}: depth maps cannot be trained on; remove the features {', '.join(depth)}")
    videos = {key: _in_videos(shards, key, episodes, timestamps) for key in visual if _is_video(visual[key])}
    located = videos | {key: _in_columns(shards, key, episodes) for key in visual if key not in videos}
    files = [file for its_files, _, _ in located.values() for file in its_files]
    decoded = iter(frame_cache.open(files) if frame_cache else [None] * len(files))

    tolerance = time_tolerance_s(shards.fps)

    @cache
    def stored() -> Any:
        return opened(shards, episodes.tolist()).hf_dataset.with_format(None)

    return {
        key: FrameReader(
            where,
            [next(decoded) for _ in where[0]],
            _video_stream(where, tolerance) if key in videos else _image_stream(stored, key, shards),
            tolerance,
        )
        for key, where in located.items()
    }


def _in_videos(shards: Shards, key: str, episodes: np.ndarray, timestamps: np.ndarray) -> Located:
    columns = shards.episode_table([f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")])
    chunk, number, begin = (column.to_numpy() for column in columns.columns)
    places = np.stack([chunk, number], axis=1)
    used, file = np.unique(places[episodes], axis=0, return_inverse=True)
    length = shards.index.length
    files = [
        FrameFile(
            shards.root / VIDEO_PATH.format(video_key=key, chunk_index=place[0], file_index=place[1]),
            None,
            int(length[(places == place).all(axis=1)].sum()),
            math.prod(shards.features[key]["shape"]),
        )
        for place in used.tolist()
    ]
    count = length[episodes]
    return files, np.repeat(file.ravel(), count), np.repeat(begin[episodes], count) + timestamps.astype(np.float64)


def _in_columns(shards: Shards, key: str, episodes: np.ndarray) -> Located:
    feature = shards.features[key]
    numbers = {"episode_index": numeric_features(shards.features)["episode_index"]}
    owners = [read_columns([path], numbers)["episode_index"] for path in shards.data_files]
    rows = [np.flatnonzero(np.isin(owner, episodes)) for owner in owners]
    used = [number for number, its_rows in enumerate(rows) if len(its_rows)]
    files = [FrameFile(shards.data_files[n], key, len(owners[n]), math.prod(feature["shape"])) for n in used]
    file = np.repeat(np.arange(len(used)), [len(rows[number]) for number in used])
    return files, file, np.concatenate([rows[number] for number in used]).astype(np.float64)


def _video_stream(located: Located, tolerance_s: float) -> Stream:
    from lerobot.datasets.video_utils import decode_video_frames

    files, _, place = located

    def stream(number: int, frames: list[int]) -> np.ndarray:
        seconds = place[frames].tolist()
        return decode_video_frames(files[number].path, seconds, tolerance_s, "pyav", return_uint8=True).numpy()

    return stream


def _image_stream(stored: Callable[[], Any], key: str, shards: Shards) -> Stream:
    def stream(number: int, frames: list[int]) -> list[np.ndarray]:
        images = stored().select_columns([key])[frames][key]
        return [image_pixels(image, shards.root) for image in images]

    return stream


def _is_video(feature: dict[str, Any]) -> bool:
    return feature["dtype"] == "video"
