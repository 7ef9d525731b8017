import numpy as np
import pytest

from leagents_kedro.episodes.statistics import (
    Summary,
    describe,
    merge,
    read_summaries,
    statistics,
    summarize,
    write_summaries,
)

MERGES = 100
ROWS = 1_360
RANKS = {"q01": (0.01, 0.0005), "q10": (0.10, 0.003), "q50": (0.50, 0.005), "q90": (0.90, 0.003), "q99": (0.99, 0.0005)}
"""Of each quantile: its rank, and by how much the docstring of `Summary` lets it be off."""


def rows_of_append(rng: np.random.Generator, append: int) -> np.ndarray:
    """Columns as datasets have them, (ROWS, 10) float32; the last four change from append to append."""
    uniform = rng.random(ROWS)
    return np.stack(
        [
            np.full(ROWS, 0.3),
            uniform < 0.02,
            uniform < 0.2,
            np.where(uniform < 0.9, 0.0, rng.normal(size=ROWS)),
            np.clip(2 * rng.normal(size=ROWS), -1, 1),
            rng.standard_cauchy(ROWS),
            100 + 0.01 * rng.normal(size=ROWS) + 0.001 * append,
            rng.normal(size=ROWS) + 50 * (append % 7),
            rng.normal(size=ROWS).cumsum() / 30,
            np.arange(ROWS) + ROWS * append,
        ],
        axis=1,
    ).astype(np.float32)


@pytest.fixture(scope="module")
def merged() -> tuple[np.ndarray, Summary]:
    rng = np.random.default_rng(0)
    appends = [rows_of_append(rng, append) for append in range(MERGES + 1)]
    summary = summarize(appends[0])
    for rows in appends[1:]:
        summary = merge(summary, summarize(rows))
    return np.concatenate(appends).astype(np.float64), summary


def test_moments_are_exact_after_a_hundred_merges(merged):
    rows, summary = merged
    kept, exact = statistics(summary), describe(rows)
    for name in ("min", "max", "count"):
        np.testing.assert_array_equal(kept[name], exact[name])
    np.testing.assert_allclose(kept["mean"], exact["mean"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(kept["std"], exact["std"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "rank", "error"), [(name, *bounds) for name, bounds in RANKS.items()])
def test_quantiles_are_within_what_the_docstring_says(merged, name, rank, error):
    rows, summary = merged
    kept = statistics(summary)[name]
    low, high = np.quantile(rows, [rank - error, rank + error], axis=0)
    assert (kept >= low - 1e-6 * abs(low)).all()
    assert (kept <= high + 1e-6 * abs(high)).all()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_keys_and_shapes_are_those_of_all_rows(shape):
    rng = np.random.default_rng(1)
    values = rng.integers(-5, 5, (40, *shape))
    kept, exact = statistics(summarize(values)), describe(values)
    assert kept.keys() == exact.keys()
    for name, value in exact.items():
        assert kept[name].shape == value.shape, name
    assert kept["count"] == [40]


def test_summaries_are_kept_and_found_for_the_dataset_that_they_are_of(merged, tmp_path):
    rows, summary = merged
    summaries = {"observation.state": summary, "next.success": summarize(rows[:, 1] > 0)}
    write_summaries(tmp_path, summaries)
    for key, kept in read_summaries(tmp_path, len(rows)).items():
        assert kept.count == summaries[key].count
        assert kept.sketches == summaries[key].sketches
        for moment in ("minimum", "maximum", "mean", "variance"):
            np.testing.assert_array_equal(getattr(kept, moment), getattr(summaries[key], moment))
    assert read_summaries(tmp_path, len(rows) + 1) == {}, "the dataset was lengthened since"
    assert read_summaries(tmp_path / "elsewhere", len(rows)) == {}


def test_equal_merges_give_equal_bytes(merged):
    _, summary = merged
    rng = np.random.default_rng(0)
    again = summarize(rows_of_append(rng, 0))
    for append in range(1, MERGES + 1):
        again = merge(again, summarize(rows_of_append(rng, append)))
    assert again.sketches == summary.sketches


def test_values_that_are_not_finite_end_no_append():
    """An imported dataset may have such a column."""
    kept = statistics(merge(summarize(np.full(4, np.nan)), summarize(np.full(4, np.nan))))
    assert np.isnan(kept["q50"]).all()
