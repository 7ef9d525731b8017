"""Statistics of features as LeRobot keeps them, but exact."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def describe(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return min, max, mean, std, count, and quantiles of ``values``, (frames,) or (frames, ..., dim).

    Keys and shapes are LeRobot's: (dim,) each, (1,) for scalars and ``count``. LeRobot estimates quantiles from
    histograms and merges them as weighted means, which is wrong by any amount where episodes differ; these are
    numpy's over all rows.
    """
    rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    rows = rows.astype(np.result_type(rows, np.float32), copy=False)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0, dtype=np.float64),
        "std": rows.std(axis=0, dtype=np.float64),
        "count": np.array([len(values)]),
        **dict(zip(_QUANTILES, np.quantile(rows, list(_QUANTILES.values()), axis=0), strict=True)),
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
