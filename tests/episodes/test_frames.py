import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import default_collate

from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.episodes import frame_cache
from leagents_kedro.episodes.batches import BatchReader
from leagents_kedro.episodes.frame_cache import FrameCache, FrameFile
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import append_datasets, write_episodes
from leagents_kedro.errors import EpisodesError

HWC = ["height", "width", "channels"]
NUMBERS = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": None},
    "action": {"dtype": "float32", "shape": (4,), "names": None},
}
FEATURES = {
    "images": NUMBERS | {"observation.images.front": {"dtype": "image", "shape": (32, 48, 3), "names": HWC}},
    "videos": {
        "observation.images.top": {"dtype": "video", "shape": (64, 96, 3), "names": HWC},
        **NUMBERS,
        "observation.images.wrist": {"dtype": "video", "shape": (64, 64, 3), "names": HWC},
    },
}
FEATURES["both"] = FEATURES["videos"] | FEATURES["images"]
DELTAS = {
    "frame": None,
    "chunk": {"action": [0.0, 0.1, 0.2, 0.3]},
    "history": {
        "observation.images.top": [-0.2, -0.1, 0.0],
        "observation.images.front": [-0.1, 0.0],
        "observation.state": [-0.1, 0.0],
        "action": [0.0, 0.1],
    },
    "single": {"observation.images.top": [0.0], "observation.images.front": [0.0], "action": [0.0]},
    "far": {"observation.images.top": [-5.0, 0.3], "observation.images.front": [2.0]},
}
LENGTHS = (5, 7, 2, 6)
FRAME_BYTES = 64 * 96 * 3


@pytest.fixture(scope="module")
def datasets(tmp_path_factory, random_episodes):
    def written(name: str, kind: str) -> Shards:
        root = tmp_path_factory.mktemp(kind) / name
        seed = len(kind) + len(name)
        write_episodes(
            root, random_episodes(seed, FEATURES[kind], LENGTHS, ["push", "pull"]), FEATURES[kind], 10, "sim"
        )
        return Shards(root)

    made = {}
    for kind in FEATURES:
        first = written("first", kind)
        mix = first.root.with_name("mix")
        append_datasets(first, [written("second addition", kind)], mix)
        made[kind] = Shards(mix)
    return made


@pytest.fixture
def cache(tmp_path):
    return FrameCache(tmp_path / "cache", limit_gb=1)


def known(deltas, kind):
    return deltas and {key: values for key, values in deltas.items() if key in FEATURES[kind]}


def assert_equal(batch, expected):
    assert list(batch) == list(expected)
    assert batch["task"] == expected["task"]
    for key in expected.keys() - {"task"}:
        assert batch[key].dtype == expected[key].dtype, key
        assert batch[key].shape == expected[key].shape, key
        assert torch.equal(batch[key], expected[key]), key


def assert_same_in_every_frame(shards, episodes, deltas, cache):
    dataset = opened(shards, episodes=episodes, delta_timestamps=deltas)
    reader = BatchReader(shards, episodes, deltas, cache)
    assert reader.num_frames == len(dataset)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    for frames in order.split(6):
        assert_equal(reader.batch(frames), default_collate([dataset[int(frame)] for frame in frames]))


@pytest.mark.parametrize("limit_gb", [1, pytest.param(0, marks=pytest.mark.slow)], ids=["decoded", "streamed"])
@pytest.mark.parametrize(
    "deltas", [pytest.param(name, marks=pytest.mark.slow if name == "single" else ()) for name in DELTAS]
)
@pytest.mark.parametrize("kind", ["images", "videos"])
def test_batches_are_those_of_lerobot_in_every_frame(datasets, kind, deltas, limit_gb, tmp_path):
    cache = FrameCache(tmp_path, limit_gb)
    assert_same_in_every_frame(datasets[kind], None, known(DELTAS[deltas], kind), cache)
    assert len(entries(tmp_path)) == limit_gb * {"images": 2, "videos": 4}[kind]


@pytest.mark.parametrize("episodes", [[1], [6, 0, 3], pytest.param([5, 4], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("limit_gb", [1, 0], ids=["decoded", "streamed"])
def test_batches_of_some_episodes_are_those_of_lerobot(datasets, episodes, limit_gb, tmp_path):
    history = known(DELTAS["history"], "both")
    assert_same_in_every_frame(datasets["both"], episodes, history, FrameCache(tmp_path, limit_gb))


def test_what_does_not_fit_is_streamed_beside_what_does(datasets, tmp_path):
    limit = sum(LENGTHS) * FRAME_BYTES / 1e9
    assert_same_in_every_frame(datasets["videos"], None, None, FrameCache(tmp_path, limit))
    assert len(entries(tmp_path)) == 1
    assert sum(pixels.stat().st_size for pixels in tmp_path.rglob("pixels.u8")) <= limit * 1e9


def test_without_a_cache_all_is_streamed(datasets):
    assert_same_in_every_frame(datasets["both"], [2], None, None)


def test_a_grown_mix_decodes_only_what_is_new(datasets, cache, tmp_path):
    shards = datasets["videos"]
    BatchReader(shards, [0, 1, 2, 3], None, cache)
    before = {pixels: pixels.stat().st_mtime_ns for pixels in (tmp_path / "cache").rglob("pixels.u8")}
    BatchReader(shards, None, None, cache)
    after = {pixels: pixels.stat().st_mtime_ns for pixels in (tmp_path / "cache").rglob("pixels.u8")}
    assert len(before) == 2
    assert len(after) == 4
    assert before.items() <= after.items()


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def videos(shards: Shards) -> list[FrameFile]:
    paths = sorted(shards.root.glob("videos/observation.images.top/*/*.mp4"))
    return [FrameFile(path, None, sum(LENGTHS), FRAME_BYTES) for path in paths]


def test_a_file_is_known_by_its_inode_and_any_other_by_its_content(datasets, cache, tmp_path):
    original = videos(datasets["videos"])[0]
    file, linked, copied = (tmp_path / name for name in ("file", "linked", "copied"))
    shutil.copy2(original.path, file)
    os.link(file, linked)
    shutil.copy(file, copied)
    cache.open([FrameFile(file, None, original.frames, FRAME_BYTES)])
    # Would the file be read again, it could not be decoded.
    status = file.stat()
    file.write_bytes(bytes(status.st_size))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    for path in (linked, copied):
        (frames,) = cache.open([FrameFile(path, None, original.frames, FRAME_BYTES)])
        assert frames.pixels.shape == (sum(LENGTHS), 3, 64, 96)
    assert len(entries(tmp_path / "cache")) == 1


def truncate(entry: Path) -> None:
    os.truncate(entry / "pixels.u8", (entry / "pixels.u8").stat().st_size - 1)


def extend(entry: Path) -> None:
    with (entry / "pixels.u8").open("ab") as pixels:
        pixels.write(b"0")


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        extend,
        lambda entry: (entry / "pixels.u8").unlink(),
        lambda entry: (entry / "frames.json").write_text('{"shape": [3'),
        lambda entry: (entry / "frames.json").unlink(),
        shutil.rmtree,
        lambda entry: (entry.parent / "sources.json").write_text("{"),
        lambda entry: shutil.rmtree(entry.parent),
    ],
    ids=[
        "truncated",
        "extended",
        "no pixels",
        "half a description",
        "no description",
        "no entry",
        "no memory",
        "no cache",
    ],
)
def test_a_damaged_entry_is_made_anew(datasets, cache, tmp_path, damage):
    files = videos(datasets["videos"])[:1]
    (expected,) = cache.open(files)
    (entry,) = entries(tmp_path / "cache")
    expected = expected.pixels.copy()
    damage(tmp_path / "cache" / entry)
    (again,) = cache.open(files)
    assert (again.pixels == expected).all()
    assert (tmp_path / "cache" / entry / "pixels.u8").stat().st_size == expected.size
    assert entries(tmp_path / "cache") == [entry]


def test_what_a_crash_left_is_removed(datasets, cache, tmp_path):
    (tmp_path / "cache" / ".staging-0").mkdir(parents=True)
    (tmp_path / "cache" / ".staging-0" / "pixels.u8").write_bytes(bytes(9))
    cache.open(videos(datasets["videos"])[:1])
    assert not list((tmp_path / "cache").glob(".staging-*"))


def test_the_least_recently_used_makes_room_and_what_is_open_stays(datasets, random_episodes, tmp_path):
    tops = {"observation.images.top": FEATURES["videos"]["observation.images.top"]}
    files = []
    for seed in range(4):
        root = tmp_path / str(seed)
        write_episodes(root, random_episodes(seed, tops, [sum(LENGTHS)], ["push"]), tops, 10, "sim")
        files += videos(Shards(root))
    folder = tmp_path / "cache"
    cache = FrameCache(folder, 2.5 * sum(LENGTHS) * FRAME_BYTES / 1e9)

    def name_of(file: FrameFile) -> str:
        before = {entry: (folder / entry).stat().st_mtime_ns for entry in entries(folder)} if folder.exists() else {}
        (frames,) = cache.open([file])
        assert frames is not None
        return next(entry for entry in entries(folder) if (folder / entry).stat().st_mtime_ns != before.get(entry))

    first, second = name_of(files[0]), name_of(files[1])
    name_of(files[0])
    third = name_of(files[2])
    assert entries(folder) == sorted([first, third]), "the second was not used for the longest time"

    held = cache.open([files[0]])
    name_of(files[2])
    fourth = name_of(files[3])
    assert entries(folder) == sorted([first, fourth]), "the first is open, though used before the third"
    held += cache.open([files[3]])
    assert cache.open([files[1]]) == [None], "no room beside two that are open"
    assert entries(folder) == sorted([first, fourth])
    del held
    FrameCache(folder, 0).open([])
    assert entries(folder) == []
    assert second not in entries(folder)


def test_two_processes_share_a_cache(datasets, tmp_path):
    code = (
        "import sys; from pathlib import Path; from leagents_kedro.episodes.frame_cache import FrameCache, FrameFile\n"
        f"files = [FrameFile(Path(path), None, {sum(LENGTHS)}, {FRAME_BYTES}) for path in sys.argv[2:]]\n"
        "print(sum(int(frames.pixels.sum()) for frames in FrameCache(Path(sys.argv[1]), 1).open(files)))"
    )
    paths = [str(file.path) for file in videos(datasets["videos"])]
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), *paths]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sums[0] == sums[1]
    assert len(entries(tmp_path / "cache")) == 2


def test_one_process_at_a_time_decodes(datasets, cache, tmp_path, monkeypatch):
    decode, refused = frame_cache._frames_of, []

    def watched(file):
        with (tmp_path / "cache" / ".lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                refused.append(file)
        return decode(file)

    monkeypatch.setattr(frame_cache, "_frames_of", watched)
    files = videos(datasets["videos"])
    cache.open(files)
    assert refused == files


def drifted(shards, target, seconds):
    damaged = Shards(shutil.copytree(shards.root, target))
    file = damaged.episode_files[-1]
    table = pq.read_table(file)
    name = "videos/observation.images.top/from_timestamp"
    later = pa.array([value + seconds for value in table[name].to_pylist()])
    pq.write_table(table.set_column(table.column_names.index(name), name, later), file)
    return damaged


@pytest.mark.parametrize("limit_gb", [1, 0], ids=["decoded", "streamed"])
def test_the_nearest_frame_is_taken_within_a_tenth_of_a_frame(datasets, limit_gb, tmp_path):
    late = drifted(datasets["videos"], tmp_path / "mix", 0.004)
    (told,) = [finding for finding in examine_dataset(late.root) if "ms from where" in finding.what]
    assert (told.severity, "up to 4.0 ms" in told.what, "--tolerance_s=0.008" in told.fix) == ("warning", True, True)
    frames = torch.arange(late.total_frames)
    expected, given = (
        BatchReader(each, None, None, FrameCache(tmp_path, limit_gb)) for each in (datasets["videos"], late)
    )
    assert_equal(given.batch(frames), expected.batch(frames))


def test_frames_at_other_times_than_the_data_says_are_refused(datasets, cache, tmp_path):
    late = drifted(datasets["videos"], tmp_path / "mix", 0.04)
    (told,) = [finding for finding in examine_dataset(late.root) if "ms from where" in finding.what]
    assert (told.severity, "up to 40.0 ms" in told.what, "; 10.0 ms" in told.what) == ("error", True, True)
    with pytest.raises(EpisodesError, match=r"mp4: should have frames at \[0\.04"):
        BatchReader(late, None, None, cache)


def test_a_broken_video_is_named(datasets, cache, tmp_path):
    shards = Shards(shutil.copytree(datasets["videos"].root, tmp_path / "mix"))
    (file, *_) = videos(shards)
    file.path.write_bytes(bytes(1000))
    with pytest.raises(EpisodesError, match=r"file-000\.mp4: cannot be decoded"):
        BatchReader(shards, None, None, cache)
    assert_same_in_every_frame(datasets["videos"], [0], None, cache)


@pytest.mark.parametrize("key", ["is_depth_map", "video.is_depth_map"])
def test_depth_maps_are_refused(datasets, cache, tmp_path, key):
    shards = Shards(shutil.copytree(datasets["images"].root, tmp_path / "mix"))
    info = shards.info
    info["features"]["observation.images.front"]["info"] = {key: True}
    (shards.root / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(EpisodesError, match=r"depth maps cannot be trained on; remove .*front"):
        BatchReader(Shards(shards.root), None, None, cache)


def test_images_that_are_broken_or_have_more_than_8_bits_are_refused(cache, tmp_path):
    import io

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    def refused(image: bytes, message: str) -> None:
        column = pa.array([{"bytes": image, "path": None}])
        pq.write_table(pa.table({"front": column}), tmp_path / "file.parquet")
        with pytest.raises(EpisodesError, match=message):
            cache.open([FrameFile(tmp_path / "file.parquet", "front", 1, 64)])

    content = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)).save(content, "png")
    refused(content.getvalue(), r"8 bits a channel, got uint16")
    refused(b"no image", r"file\.parquet: cannot be decoded")
