"""Columns between parquet files and numpy, in the shapes that ``meta/info.json`` gives their features."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leagents_kedro.errors import EpisodesError

type Features = dict[str, dict[str, Any]]

INDEX_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""What LeRobot adds to the features of a dataset by itself."""


def recorded_features(features: Features) -> Features:
    """Return the features that an episode brings, without those that LeRobot adds by itself."""
    return {key: feature for key, feature in features.items() if key not in INDEX_COLUMNS}


def visual_features(features: Features) -> Features:
    """Return the features that are images or videos."""
    return {key: feature for key, feature in features.items() if feature["dtype"] in {"image", "video"}}


def numeric_features(features: Features) -> Features:
    """Return the features that are numbers: neither images nor text."""
    others = {"image", "video", "string", "language"}
    return {key: feature for key, feature in features.items() if feature["dtype"] not in others}


def is_depth_map(feature: dict[str, Any]) -> bool:
    """Whether images of the feature hold distances, as LeRobot marks them."""
    described = [feature.get("info") or {}, feature.get("video_info") or {}]
    return any(info.get("is_depth_map") or info.get("video.is_depth_map") for info in described)


def is_read(key: str, feature: dict[str, Any]) -> bool:
    """Whether LeRobot's policies read a feature, or learn to give it: every image, and what their names begin with."""
    return feature["dtype"] in {"image", "video"} or key.startswith(("observation", "action"))


def taken_over(own: Features, wanted: Features) -> Features:
    """Return what an import makes of a dataset's ``own`` features, so that episodes with those ``wanted`` can follow.

    Numbers become the wanted float type, and index columns LeRobot's. What is not wanted, or not so, is left out where
    no policy reads it. What then differs still cannot be mended by an import.
    """
    taken = {}
    for key, feature in own.items():
        feature = feature | {"shape": tuple(feature["shape"]) or (1,)}  # both are stored as scalars
        if key in INDEX_COLUMNS:
            taken[key] = feature | {"dtype": "float32" if key == "timestamp" else "int64"}
        elif key not in wanted:
            if is_read(key, feature):
                taken[key] = feature
        elif _becomes(feature, wanted[key]):
            taken[key] = feature | {"dtype": wanted[key]["dtype"]}
        elif feature["dtype"] in {"image", "video"} and feature["shape"] == tuple(wanted[key]["shape"]):
            taken[key] = feature | {"names": wanted[key]["names"]}  # by which LeRobot finds the channels
        elif is_read(key, feature) or same_values(feature, wanted[key]):
            taken[key] = feature
    return taken


def _becomes(own: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether numbers can be read as those that are wanted without another meaning."""
    numbers = numeric_features({"own": own, "wanted": wanted})
    same_shape = tuple(own["shape"]) == tuple(wanted["shape"])
    return len(numbers) == 2 and same_shape and wanted["dtype"].startswith("float")


def same_values(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether values of two features can stand in one column: dtype, shape, and, where both tell them, names.

    What else writers add, such as the ``fps`` of LeRobot's converter or a video's encoder, says nothing of the values.
    """
    named = [names for names in (flat_names(feature.get("names")) for feature in (one, other)) if names]
    return (
        one["dtype"] == other["dtype"]
        and tuple(one["shape"]) == tuple(other["shape"])
        and all(names == named[0] for names in named)
    )


def read_table(files: Iterable[Path], columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of all ``files``, with ``columns`` in that order or with all columns.

    Raises:
        EpisodesError: A file is missing, unfinished, or damaged, or has no such column.
    """
    return pa.concat_tables([_read_file(file, columns) for file in files], promote_options="permissive")


def schema_of(file: Path) -> pa.Schema:
    """Return the names and types of the columns in ``file``.

    Raises:
        EpisodesError: It is missing, unfinished, or damaged.
    """
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise EpisodesError(_unreadable(file, error)) from error


def read_columns(
    files: Iterable[Path], features: Features, episodes: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """Return the numeric ``features`` of the frames in ``files``, or of those of ``episodes``, in the files' order.

    Arrays are (frames, *shape), but (frames,) for features of shape (1,), which LeRobot stores as scalars.

    Raises:
        EpisodesError: A file is missing, unfinished, or holds something else than the features say.
    """
    blocks: dict[str, list[np.ndarray]] = {key: [] for key in features}
    for file in files:
        table = _frames_of(_read_file(file, list(dict.fromkeys([*features, "episode_index"])), episodes), episodes)
        for key, feature in features.items():
            blocks[key] += [_values(chunk, key, feature, file) for chunk in table[key].chunks]
    return {key: _joined(blocks[key], features[key]) for key in features}


def to_table(columns: Mapping[str, np.ndarray], features: Features) -> pa.Table:
    """Return numeric ``columns`` (frames, *shape) as LeRobot stores ``features``; the inverse of `read_columns`."""
    return stored(pa.table({key: _nested(columns[key]) for key in features}), features)


def stored(table: pa.Table, features: Features) -> pa.Table:
    """Return ``table`` with the columns and types in which LeRobot stores ``features``."""
    from datasets.table import table_cast
    from lerobot.datasets.feature_utils import get_hf_features_from_features

    schema = get_hf_features_from_features(features).arrow_schema
    return table_cast(table.select(schema.names), schema)


def flat_names(names: Any) -> list[str]:
    """Return the names of a feature's dimensions in a row, also from ``{"motors": [...]}`` and ``{"x": 0, "y": 1}``."""
    match names:
        case dict():
            return [
                name
                for key, inner in names.items()
                for name in (flat_names(inner) if isinstance(inner, list) else [key])
            ]
        case list() | tuple():
            return [name for inner in names for name in flat_names(inner)]
        case None:
            return []
    return [str(names).removesuffix("s")]  # older writers have "channel" for "channels"


def _read_file(file: Path, columns: Sequence[str] | None, episodes: Sequence[int] | None = None) -> pa.Table:
    """Return ``columns``, of at least the frames of ``episodes``: whoever wants few of a large file reads little."""
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        table = parquet.read_row_groups(_groups_with(parquet.metadata, episodes), columns=columns)
        return table if columns is None else table.select(columns)
    except (OSError, pa.ArrowException) as error:
        raise EpisodesError(_unreadable(file, error)) from error
    except KeyError as error:
        raise EpisodesError(f"{file}: expected a column {error} beside {', '.join(table.column_names)}") from error


def _groups_with(metadata: pq.FileMetaData, episodes: Sequence[int] | None) -> list[int]:
    """Return the row groups that may hold frames of ``episodes``: by their statistics, where they have some."""
    groups, names = [*range(metadata.num_row_groups)], metadata.schema.names
    if episodes is None or "episode_index" not in names:
        return groups
    column, wanted = names.index("episode_index"), np.sort(episodes)
    statistics = [metadata.row_group(group).column(column).statistics for group in groups]
    if not all(each is not None and each.has_min_max for each in statistics):
        return groups
    least, most = [each.min for each in statistics], [each.max for each in statistics]
    return np.flatnonzero(np.searchsorted(wanted, least) < np.searchsorted(wanted, most, "right")).tolist()


def _unreadable(file: Path, error: Exception) -> str:
    return (
        f"{file}: missing, unfinished, or damaged parquet file. Was the dataset finalized? Otherwise restore the "
        f"file from a copy, or write the dataset anew. {error}"
    )


def _frames_of(table: pa.Table, episodes: Sequence[int] | None) -> pa.Table:
    if episodes is None:
        return table
    chosen = np.isin(table["episode_index"].to_numpy(), episodes)
    return table if chosen.all() else table.filter(pa.array(chosen))


def _values(chunk: pa.Array, key: str, feature: dict[str, Any], file: Path) -> np.ndarray:
    shape = _stored_shape(feature)
    flat = chunk
    while isinstance(flat, pa.ExtensionArray) or pa.types.is_nested(flat.type):
        flat = flat.storage if isinstance(flat, pa.ExtensionArray) else flat.flatten()
    if empty := chunk.null_count:
        raise EpisodesError(f"{file}: {empty} frames have no value of '{key}'; leave their episodes out")
    if len(flat) != len(chunk) * int(np.prod(shape)):
        raise EpisodesError(f"{file}: rows of '{key}' should have shape {shape}, as meta/info.json says")
    return flat.to_numpy(zero_copy_only=False).reshape(len(chunk), *shape)


def _joined(blocks: list[np.ndarray], feature: dict[str, Any]) -> np.ndarray:
    return np.concatenate(blocks) if blocks else np.empty((0, *_stored_shape(feature)), feature["dtype"])


def _stored_shape(feature: dict[str, Any]) -> tuple[int, ...]:
    shape = tuple(feature["shape"])
    return () if shape == (1,) else shape


def _nested(values: np.ndarray) -> pa.Array:
    array = pa.array(values.reshape(-1))
    shape = () if values.shape[1:] == (1,) else values.shape[1:]
    for size in reversed(shape):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array
