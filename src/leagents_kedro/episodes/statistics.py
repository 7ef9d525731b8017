"""Statistics of features as LeRobot keeps them: exact from all rows, or merged in constant time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasketches import tdigest_float

from leagents_kedro.episodes.format import QUANTILES

_SUMMARIES = "meta/leagents/statistics.parquet"
_CENTROIDS = 1000


@dataclass(frozen=True)
class Summary:
    """What is kept of a feature, so that statistics of two datasets can be merged without their rows.

    ``minimum``, ``maximum``, ``mean``, and ``variance`` are (dim,) float64, from which their merged values are exact
    up to rounding. ``sketches`` are serialized t-digests, one a dimension (Dunning and Ertl, arXiv:1902.04023), which
    involve no chance: equal merges give equal bytes. The rank of their quantiles is off by at most 0.0005 for q01 and
    q99, 0.003 for q10 and q90, and 0.005 for q50, however many merges: measured over 300 of 1,360 rows on constant,
    one-hot, drifting, bimodal, and heavy-tailed columns.
    """

    count: int
    minimum: np.ndarray
    maximum: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    sketches: tuple[bytes, ...]


def describe(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return min, max, mean, std, count, and quantiles of ``values``, (frames,) or (frames, ..., dim).

    Keys and shapes are LeRobot's: (dim,) each, (1,) for scalars and ``count``. LeRobot estimates quantiles from
    histograms and merges them as weighted means, which is wrong by any amount where episodes differ; these are
    numpy's over all rows.
    """
    rows = _rows(values)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0, dtype=np.float64),
        "std": rows.std(axis=0, dtype=np.float64),
        "count": np.array([len(values)]),
        **dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0), strict=True)),
    }


def describe_episodes(columns: Mapping[str, np.ndarray], length: np.ndarray) -> dict[str, pa.Array]:
    """Return the columns ``stats/<key>/<name>`` of ``meta/episodes`` for consecutive episodes.

    Args:
        columns: Values of each feature, (frames, ...).
        length: Frames of each episode, (episodes,).
    """
    ends = length.cumsum()
    episodes = [
        {
            f"stats/{key}/{name}": value.tolist()
            for key, values in columns.items()
            for name, value in describe(values[begin:end]).items()
        }
        for begin, end in zip((ends - length).tolist(), ends.tolist(), strict=True)
    ]
    return {name: pa.array([episode[name] for episode in episodes]) for name in episodes[0]}


def recorded_statistics(root: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return what ``meta/stats.json`` of a dataset says: flat arrays by feature and statistic."""
    content = json.loads((root / "meta" / "stats.json").read_text(encoding="utf-8"))
    return {
        key: {name: np.asarray(value, np.float64).ravel() for name, value in values.items()}
        for key, values in content.items()
    }


def summarize(values: np.ndarray) -> Summary:
    """Return what is kept of ``values``, (frames,) or (frames, ..., dim)."""
    rows = _rows(values)
    return Summary(
        len(values),
        rows.min(axis=0).astype(np.float64),
        rows.max(axis=0).astype(np.float64),
        rows.mean(axis=0, dtype=np.float64),
        rows.var(axis=0, dtype=np.float64),
        tuple(_sketch(column) for column in rows.T),
    )


def merge(first: Summary, second: Summary) -> Summary:
    """Return the summary of the rows of both (Chan, Golub and LeVeque, https://doi.org/10.2307/2683386)."""
    count = first.count + second.count
    share = second.count / count
    apart = second.mean - first.mean
    return Summary(
        count,
        np.minimum(first.minimum, second.minimum),
        np.maximum(first.maximum, second.maximum),
        first.mean + apart * share,
        first.variance * (1 - share) + second.variance * share + apart**2 * share * (1 - share),
        tuple(_merged(*sketches) for sketches in zip(first.sketches, second.sketches, strict=True)),
    )


def statistics(summary: Summary) -> dict[str, np.ndarray]:
    """Return the same keys and shapes as `describe`, with the quantiles of the sketches."""
    digests = [tdigest_float.deserialize(sketch) for sketch in summary.sketches]
    return {
        "min": summary.minimum,
        "max": summary.maximum,
        "mean": summary.mean,
        "std": np.sqrt(summary.variance),
        "count": np.array([summary.count]),
        **{name: np.array([_quantile(digest, rank) for digest in digests]) for name, rank in QUANTILES.items()},
    }


def write_summaries(root: Path, summaries: Mapping[str, Summary]) -> None:
    """Keep the summary of each feature of the dataset in ``root``, in a file that LeRobot does not look at."""
    rows = [
        (key, summary.count, *moments)
        for key, summary in summaries.items()
        for moments in zip(
            summary.minimum, summary.maximum, summary.mean, summary.variance, summary.sketches, strict=True
        )
    ]
    file = root / _SUMMARIES
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = ["feature", "count", "min", "max", "mean", "variance", "sketch"]
    pq.write_table(pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True))), file, compression="zstd")


def read_summaries(root: Path, total_frames: int) -> dict[str, Summary]:
    """Return what `write_summaries` kept; nothing where another writer made, or lengthened, the dataset."""
    if not (root / _SUMMARIES).is_file():
        return {}
    table = pq.read_table(root / _SUMMARIES)
    summaries = {}
    for key in table["feature"].unique().to_pylist():
        rows = table.filter(pc.equal(table["feature"], key))
        low, high, mean, variance = (rows[name].to_numpy() for name in ("min", "max", "mean", "variance"))
        sketches = tuple(rows["sketch"].to_pylist())
        summaries[key] = Summary(rows["count"][0].as_py(), low, high, mean, variance, sketches)
    return summaries if all(summary.count == total_frames for summary in summaries.values()) else {}


def _rows(values: np.ndarray) -> np.ndarray:
    rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    return rows.astype(np.result_type(rows, np.float32), copy=False)


def _sketch(column: np.ndarray) -> bytes:
    digest = tdigest_float(_CENTROIDS)
    digest.update(np.ascontiguousarray(column, np.float32))
    return digest.serialize()


def _merged(first: bytes, second: bytes) -> bytes:
    digest = tdigest_float.deserialize(first)
    digest.merge(tdigest_float.deserialize(second))
    return digest.serialize()


def _quantile(digest: tdigest_float, rank: float) -> float:
    # Values that are not finite leave no trace in a sketch.
    return np.nan if digest.is_empty() else digest.get_quantile(rank)
