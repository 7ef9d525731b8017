import numpy as np
import pytest

from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError


def test_a_handle_says_what_lerobot_says(make_shards):
    shards = make_shards("mix")
    meta = opened(shards).meta
    assert shards.fps == meta.fps
    assert shards.features == meta.features
    assert shards.robot_type == meta.robot_type
    assert (shards.total_episodes, shards.total_frames) == (meta.total_episodes, meta.total_frames)
    assert list(shards.tasks) == meta.tasks.index.tolist()
    index = shards.index
    for row, episode in enumerate(meta.episodes):
        assert index.episode_index[row] == episode["episode_index"]
        assert index.length[row] == episode["length"]
        assert (index.from_index[row], index.to_index[row]) == (
            episode["dataset_from_index"],
            episode["dataset_to_index"],
        )
        assert [shards.tasks[index.task[row]]] == episode["tasks"]


def test_a_handle_is_a_value(make_shards):
    shards = make_shards("mix")
    assert shards == Shards(shards.root)
    assert len({shards, Shards(shards.root)}) == 1


def test_selected_episodes_are_opened(make_shards):
    dataset = opened(make_shards("mix"), episodes=np.array([3, 1]))
    assert {dataset[i]["episode_index"].item() for i in range(len(dataset))} == {1, 3}


def test_tasks_of_older_datasets_have_no_name_for_their_column(make_shards):
    import pyarrow.parquet as pq

    shards = make_shards("mix")
    path = shards.root / "meta" / "tasks.parquet"
    table = pq.read_table(path)
    pq.write_table(table.rename_columns(["task_index", "__index_level_0__"]), path)
    assert Shards(shards.root).tasks == shards.tasks


def test_an_episode_of_an_unknown_task_is_named(make_shards):
    import pyarrow.parquet as pq

    shards = make_shards("mix")
    path = shards.root / "meta" / "tasks.parquet"
    pq.write_table(pq.read_table(path).slice(0, 1), path)
    with pytest.raises(EpisodesError, match="Öffne die Tür"):
        _ = shards.index
