import numpy as np
import pytest

from leagents_kedro.episodes.selection import select_episodes
from leagents_kedro.episodes.shards import EpisodeIndex
from leagents_kedro.errors import CoverageError

TASKS = ("open the drawer", "close the drawer", "push the button")


def index_of(task: list[int] | np.ndarray) -> EpisodeIndex:
    task = np.asarray(task)
    number = np.arange(len(task))
    return EpisodeIndex(number, np.full(len(task), 10), number * 10, number * 10 + 10, task)


def test_all_or_the_newest_of_each_task():
    index = index_of([0, 0, 1, 0, 1, 0, 2])
    assert select_episodes(index, TASKS, TASKS[:2], None) == {TASKS[0]: (0, 1, 3, 5), TASKS[1]: (2, 4)}
    assert select_episodes(index, TASKS, TASKS[:2], 2) == {TASKS[0]: (3, 5), TASKS[1]: (2, 4)}
    assert select_episodes(index, TASKS, TASKS[:2], 3) == {TASKS[0]: (1, 3, 5), TASKS[1]: (2, 4)}


def test_all_missing_tasks_are_named_with_what_they_may_be_called():
    with pytest.raises(CoverageError, match="2 of 4 tasks") as caught:
        select_episodes(index_of([0, 1]), TASKS, ["open the drawers", *TASKS], None)
    assert "'open the drawers' (the dataset has 'open the drawer')" in str(caught.value)
    assert "'push the button'" in str(caught.value)
    assert "'close the drawer'" not in str(caught.value).replace("has 'close the drawer'", "")


def test_a_million_episodes_ordered_by_suite_are_selected_in_balance():
    """The first episodes of such a dataset are of other tasks: a prefix of it would train on none of these."""
    tasks = tuple(f"task {number}" for number in range(50))
    chosen = select_episodes(index_of(np.repeat(np.arange(50), 20_000)), tasks, tasks[40:], 1_000)
    assert {len(episodes) for episodes in chosen.values()} == {1_000}
    assert chosen["task 40"] == tuple(range(41 * 20_000 - 1_000, 41 * 20_000))
