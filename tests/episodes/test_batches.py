import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from leagents_kedro.episodes.batches import BatchReader, fits, placed
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError

CHUNK = {"action": [i / 10 for i in range(5)]}
HISTORY = {
    "observation.state": [-0.2, -0.1, 0.0],
    "pose": [-0.1, 0.3],
    "next.success": [0.0, 0.1],
    "timestamp": [-0.1, 0.0],
    "action": [-0.1, 0.0, 0.1, 0.2, 1.5],
}


@pytest.mark.parametrize(
    "episodes",
    [None, [3, 0], *(pytest.param(few, marks=pytest.mark.slow) for few in ([0, 1, 2, 3], [1], [2, 3]))],
    ids=str,
)
@pytest.mark.parametrize("deltas", [None, CHUNK, HISTORY], ids=["frame", "chunk", "history"])
def test_batches_are_those_of_lerobot_in_every_frame(make_shards, every_kind, episodes, deltas):
    shards = make_shards("mix", features=every_kind)
    dataset = opened(shards, episodes=episodes, delta_timestamps=deltas)
    reader = BatchReader(shards, episodes, deltas)
    assert reader.num_frames == len(dataset)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    for frames in order.split(6):
        expected = default_collate([dataset[int(frame)] for frame in frames])
        batch = reader.batch(frames)
        assert list(batch) == list(expected)
        for key, value in expected.items():
            if key == "task":
                assert batch[key] == value
                continue
            assert batch[key].dtype == value.dtype, key
            assert batch[key].shape == value.shape, key
            assert torch.equal(batch[key], value), key


def test_batches_of_an_appended_dataset_are_those_of_lerobot(make_shards, tmp_path):
    from leagents_kedro.episodes.writing import append_datasets

    append_datasets(make_shards("a"), [make_shards("b", sentences=["wave"])], tmp_path / "ab")
    shards = Shards(tmp_path / "ab")
    episodes = [6, 1, 4]
    dataset = opened(shards, episodes=episodes, delta_timestamps=CHUNK)
    batch = BatchReader(shards, episodes, CHUNK).batch(torch.arange(len(dataset)))
    expected = default_collate([dataset[i] for i in range(len(dataset))])
    assert batch["task"] == expected["task"]
    assert all(torch.equal(batch[key], expected[key]) for key in expected if key != "task")


def test_batches_own_their_memory(make_shards):
    reader = BatchReader(make_shards("mix"), None, CHUNK)
    frames = torch.tensor([0, 0, 1])
    before = reader.batch(frames)["action"].clone()
    reader.batch(frames)["action"].zero_()
    assert torch.equal(reader.batch(frames)["action"], before)


@pytest.mark.parametrize("episodes", [[4], [-1], []])
def test_episodes_that_are_not_there_are_refused(make_shards, episodes):
    with pytest.raises(EpisodesError, match=r"episodes (should be between 0 and 3|were selected)"):
        BatchReader(make_shards("mix"), episodes, None)


def test_an_unknown_feature_is_named(make_shards):
    with pytest.raises(EpisodesError, match=r"no feature acton"):
        BatchReader(make_shards("mix"), None, {"acton": [0.0]})


def test_a_delta_between_two_frames_is_refused(make_shards):
    with pytest.raises(ValueError, match="multiples of 1/10"):
        BatchReader(make_shards("mix"), None, {"action": [0.0, 0.05]})


def test_text_is_refused(make_shards):
    import json

    shards = make_shards("mix", lengths=[3])
    info = shards.info | {"features": shards.info["features"] | {"note": {"dtype": "string", "shape": [1]}}}
    (shards.root / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(EpisodesError, match=r"but note are none"):
        BatchReader(Shards(shards.root), None, None)


def test_frames_in_another_place_than_meta_says_are_refused(make_shards):
    import pyarrow.parquet as pq

    shards = make_shards("mix")
    (file,) = shards.data_files
    table = pq.read_table(file)
    pq.write_table(table.take(np.roll(np.arange(len(table)), 1)), file)
    with pytest.raises(EpisodesError, match="not where meta/episodes says"):
        BatchReader(shards, None, None)


def test_columns_live_on_a_device_that_keeps_most_of_its_memory_for_the_policy():
    assert fits(25, free_bytes=100)
    assert not fits(26, free_bytes=100)
    assert not fits(1, free_bytes=0), "a CPU has no second memory"


def test_what_is_on_its_device_is_not_copied():
    tensor = torch.ones(3)
    assert placed(tensor, torch.device("cpu")) is tensor


@pytest.mark.parametrize("resident", [True, False])
def test_batches_are_on_the_device(make_shards, video, monkeypatch, resident):
    # "meta", a device without values, stands for a GPU, which these machines lack: operations across devices fail.
    monkeypatch.setattr("leagents_kedro.episodes.batches._free_bytes", lambda _: 10**9 if resident else 0)
    reader = BatchReader(make_shards("mix", lengths=[3, 4], features=video), None, CHUNK, device="meta")
    batch = reader.batch(torch.tensor([0, 5]))
    tensors = [value for value in batch.values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == len(batch) - 1
    assert all(placed(tensor, torch.device("meta")) is tensor for tensor in tensors)
