"""Choosing the episodes to train on."""

from collections.abc import Sequence

import numpy as np

from leagents_kedro.episodes.shards import EpisodeIndex
from leagents_kedro.errors import CoverageError
from leagents_kedro.foundation.spelling import nearest


def select_episodes(
    index: EpisodeIndex, tasks: Sequence[str], sentences: Sequence[str], per_task: int | None
) -> dict[str, tuple[int, ...]]:
    """Return the episodes of each sentence, ascending: the newest ``per_task`` of each, or all where that is None.

    Raises:
        CoverageError: Sentences have no episode; names all of them.
    """
    task_of = {sentence: task for task, sentence in enumerate(tasks)}
    # Small integers are sorted by counting them, in time that does not grow with the number of tasks.
    order = index.task.astype(np.min_scalar_type(len(tasks))).argsort(kind="stable")
    counts = np.bincount(index.task, minlength=len(tasks))
    rows_of = np.split(order, counts.cumsum())
    found = {sentence: rows_of[task_of.get(sentence, len(tasks))] for sentence in sentences}
    if missing := [sentence for sentence, rows in found.items() if not len(rows)]:
        named = "; ".join(_hint(sentence, tasks) for sentence in missing)
        raise CoverageError(
            f"no episodes of {len(missing)} of {len(found)} tasks: {named}. "
            "Have experts demonstrate them (demonstrations.source), leave them out of the suite, or give "
            "suite.sentences what the dataset says"
        )
    return {sentence: tuple(index.episode_index[_newest(rows, per_task)].tolist()) for sentence, rows in found.items()}


def _newest(rows: np.ndarray, count: int | None) -> np.ndarray:
    return rows if count is None else rows[max(len(rows) - count, 0) :]


def _hint(sentence: str, tasks: Sequence[str]) -> str:
    close = nearest(sentence, set(tasks) - {sentence})
    return f"{sentence!r} (the dataset has {close!r})" if close else repr(sentence)
