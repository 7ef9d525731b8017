import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import default_collate

from leagents_kedro.episodes.batches import BatchReader
from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.compaction import compact_dataset
from leagents_kedro.episodes.digests import episode_digests
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.statistics import describe
from leagents_kedro.episodes.writing import append_datasets

IMAGE = {
    "observation.image": {"dtype": "image", "shape": (16, 16, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (2,), "names": None},
}


@pytest.fixture
def make_grown(make_shards, tmp_path):
    """Write a dataset of four files a kind, as three appends leave it; twice, so that one can be compacted."""

    def make(features: dict, first: tuple[int, ...] = (5, 7, 2, 9)) -> tuple[Shards, Shards]:
        grown = make_shards("first", first, features=features)
        for name, lengths, sentence in (("b", (4,), "wave"), ("c", (3, 2), "pick up the cup"), ("d", (6,), "bow")):
            append_datasets(grown, [make_shards(name, lengths, [sentence], features)], tmp_path / f"grown_{name}")
            grown = Shards(tmp_path / f"grown_{name}")
        append_datasets(grown, [], tmp_path / "compacted")
        return grown, Shards(tmp_path / "compacted")

    return make


def contents(shards: Shards) -> dict:
    return {file.relative_to(shards.root): file.read_bytes() for file in shards.root.rglob("*") if file.is_file()}


def assert_episodes_lie_where_they_are_described(shards: Shards) -> None:
    for number, file in enumerate(shards.episode_files):
        for row in pq.read_table(file).to_pylist():
            assert (row["meta/episodes/chunk_index"], row["meta/episodes/file_index"]) == (0, number)
            place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
            frames = pq.read_table(shards.root / shards.info["data_path"].format(**place), columns=["episode_index"])
            assert row["episode_index"] in frames["episode_index"].to_pylist()


@pytest.mark.parametrize("kind", ["numbers", "videos", pytest.param("images", marks=pytest.mark.slow)])
def test_no_reader_sees_another_frame(make_grown, every_kind, video, kind):
    grown, compacted = make_grown({"numbers": every_kind, "videos": video, "images": IMAGE}[kind])
    before = contents(grown)
    compact_dataset(compacted.root)
    assert contents(grown) == before
    compacted = check_dataset(compacted.root)
    assert [len(grown.data_files), len(grown.episode_files)] == [4, 4]
    assert [len(compacted.data_files), len(compacted.episode_files)] == [1, 1]
    assert_episodes_lie_where_they_are_described(compacted)
    old, new = opened(grown), opened(compacted)
    assert len(old) == len(new) == 38
    for frame in range(len(old)):
        expected, item = old[frame], new[frame]
        assert list(item) == list(expected)
        for key, value in expected.items():
            assert item[key] == value if key == "task" else torch.equal(item[key], value), key
    assert episode_digests(compacted).equals(episode_digests(grown))
    links = [{file.stat().st_ino for file in each.root.glob("videos/*/*/*")} for each in (grown, compacted)]
    assert links[0] == links[1]


def test_batches_stay_the_same(make_grown, every_kind):
    grown, compacted = make_grown(every_kind)
    compact_dataset(compacted.root)
    deltas = {"action": [0.0, 0.1, 0.5], "pose": [-0.2, 0.0]}
    for episodes in (None, [6, 1, 4]):
        readers = [BatchReader(Shards(each.root), episodes, deltas) for each in (grown, compacted)]
        old, new = (reader.batch(torch.arange(reader.num_frames)) for reader in readers)
        assert list(old) == list(new)
        assert all(old[key] == new[key] if key == "task" else torch.equal(old[key], new[key]) for key in old)
    dataset = opened(compacted, delta_timestamps=deltas)
    expected = default_collate([dataset[frame] for frame in range(len(dataset))])
    batch = BatchReader(Shards(compacted.root), None, deltas).batch(torch.arange(len(dataset)))
    assert all(
        batch[key] == expected[key] if key == "task" else torch.equal(batch[key], expected[key]) for key in batch
    )


def test_statistics_become_exact_again_and_go_on_from_there(make_grown, make_shards, every_kind, tmp_path):
    from lerobot.datasets.io_utils import load_stats

    from leagents_kedro.episodes.columns import numeric_features, read_columns

    _, compacted = make_grown(every_kind)
    compact_dataset(compacted.root)
    columns = read_columns(compacted.data_files, numeric_features(compacted.features))
    kept = load_stats(compacted.root)
    for key, values in columns.items():
        for name, value in describe(values).items():
            np.testing.assert_allclose(kept[key][name], value, rtol=1e-12, err_msg=f"{key} {name}")
    addition = make_shards("e", (5,), ["wave"], every_kind)
    append_datasets(Shards(compacted.root), [addition], tmp_path / "more")
    more = check_dataset(tmp_path / "more")
    assert more.total_episodes == 9
    assert len(more.data_files) == 2


def test_files_that_are_large_enough_stay_linked(make_grown, make_shards, state, tmp_path):
    """Frames are copied until they fill a file, then no more."""
    grown, compacted = make_grown(state, first=(20,) * 8)
    first, *others = (file.stat().st_size for file in grown.data_files)
    assert first > sum(others)
    path = compacted.root / "meta" / "info.json"
    path.write_text(json.dumps(grown.info | {"data_files_size_in_mb": first / 1024**2}))
    compact_dataset(compacted.root)
    compacted = check_dataset(compacted.root)
    assert compacted.data_files[0].samefile(grown.data_files[0])
    assert len(compacted.data_files) == 2
    assert_episodes_lie_where_they_are_described(compacted)
    old, new = opened(grown), opened(compacted)
    assert all(torch.equal(old[frame]["action"], new[frame]["action"]) for frame in range(len(old)))
