import numpy as np
import pyarrow.parquet as pq
import pytest

from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import append_datasets
from leagents_kedro.errors import EpisodesError
from support.damage import episodes, frames, put


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


def test_an_episode_is_read_into_memory_as_it_was_written(make_shards, random_episodes, every_kind, tmp_path):
    sentences, lengths = ("pick up the cup", "Öffne die Tür"), (5, 7, 2)
    written = random_episodes(sum(b"some"), every_kind, lengths, sentences)
    append_datasets(
        make_shards("first", (3,), ["wave"], every_kind),
        [make_shards("some", lengths, sentences, every_kind)],
        tmp_path / "mix",
    )
    mix = Shards(tmp_path / "mix")
    for number, expected in enumerate(written, start=1):
        read = mix.episode(number)
        assert read.sentence == expected.sentence
        assert read.columns.keys() == every_kind.keys()
        for key, values in expected.columns.items():
            np.testing.assert_array_equal(read.columns[key], values)
            assert read.columns[key].dtype == values.dtype


def test_tasks_of_older_datasets_have_no_name_for_their_column(make_shards):
    shards = make_shards("mix")
    path = shards.root / "meta" / "tasks.parquet"
    table = pq.read_table(path)
    pq.write_table(table.rename_columns(["task_index", "__index_level_0__"]), path)
    assert Shards(shards.root).tasks == shards.tasks


def test_an_episode_of_an_unknown_task_is_named(make_shards):
    shards = make_shards("mix")
    path = shards.root / "meta" / "tasks.parquet"
    pq.write_table(pq.read_table(path).slice(0, 1), path)
    with pytest.raises(EpisodesError, match="Öffne die Tür"):
        _ = shards.index


def without_sentences(root):
    """The form of the Hub's lerobot/libero."""
    (file,) = root.glob("meta/episodes/*/*")
    pq.write_table(pq.read_table(file).drop_columns("tasks"), file)


def with_two_sentences(root):
    """LeRobot lists them in the order of a set, which is another in each process."""
    episodes("tasks", lambda values: [put(n, ["Öffne die Tür", "pick up the cup"])(values) for n in (0, 3)])(root)
    frames("task_index", put(4, 1))(root)


@pytest.mark.parametrize("damage", [without_sentences, with_two_sentences])
def test_an_episode_without_one_sentence_is_of_the_task_of_its_first_frame(make_shards, tmp_path, damage):
    shards = make_shards("mix")
    expected = shards.index.task.tolist()
    damage(shards.root)
    assert Shards(shards.root).index.task.tolist() == expected
    append_datasets(Shards(shards.root), [make_shards("more", (3, 4))], tmp_path / "grown")
    grown = check_dataset(tmp_path / "grown")
    assert grown.index.task.tolist() == [*expected, 0, 1]
    assert opened(grown)[grown.index.from_index[5].item()]["task"] == "Öffne die Tür"


def test_a_first_frame_of_no_task_is_named(make_shards):
    shards = make_shards("mix")
    without_sentences(shards.root)
    frames("task_index", put(5, 9))(shards.root)
    with pytest.raises(EpisodesError, match="is that of episode 1, nor of its first frame"):
        _ = Shards(shards.root).index
