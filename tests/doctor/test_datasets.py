import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import append_datasets
from support.damage import (
    Damage,
    column,
    episodes,
    feature,
    frames,
    info,
    more,
    number,
    put,
    said,
    statistics,
    torn,
    without,
    written,
)
from support.datasets import as_v21


def inverted(pattern: str, offset: int) -> Damage:

    def damage(root: Path) -> None:
        (file,) = root.glob(pattern)
        content = bytearray(file.read_bytes())
        content[offset : offset + 8] = bytes(255 - byte for byte in content[offset : offset + 8])
        file.write_bytes(content)

    return damage


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 146946961\n"


def copied_beside(name: str) -> Damage:
    """Leave a copy of the frames, as editors and people do."""

    def damage(root: Path) -> None:
        (file,) = root.glob("data/*/*.parquet")
        copy = root / "data" / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)

    return damage


def linked_elsewhere(root: Path) -> None:
    """Keep the frames on another disk."""
    shutil.move(root / "data", root.with_name("disk"))
    (root / "data").symlink_to(root.with_name("disk"))


def unnamed_action(root: Path) -> None:
    features = json.loads((root / "meta" / "info.json").read_text())["features"]
    info(features={{"action": "actions"}.get(key, key): value for key, value in features.items()})(root)


def index_unlisted(root: Path) -> None:
    features = json.loads((root / "meta" / "info.json").read_text())["features"]
    info(features={key: value for key, value in features.items() if key != "task_index"})(root)


def repeated(root: Path) -> None:
    """Merge a dataset with itself, which LeRobot does without a word."""
    from lerobot.datasets.aggregate import aggregate_datasets

    source = root.rename(root.with_name("source"))
    aggregate_datasets(["local/a"] * 2, "local/b", roots=[source] * 2, aggr_root=root)


ERRORS = {
    "pointers": (
        written("data/*/*", POINTER),
        "file-000.parquet: should be a finished",
        "Fix: it is a pointer",
        "lfs pull",
    ),
    "a pointer for info": (written("meta/info.json", POINTER), "info.json", "not readable", "Fix: it is a pointer"),
    "a mark": (written("meta/info.json", b"\xef\xbb\xbf{}"), "info.json", "not readable", "UTF-8 without one"),
    "a page": (written("meta/tasks.parquet", b"<!doctype html>"), "tasks.parquet", "Fix: it is a web page"),
    "counted in words": (info(total_frames="195"), "total_frames should be a whole number, is '195'", "correct it"),
    "not counted": (info(total_episodes=None), "total_episodes should be a whole number, is None", "correct it"),
    "a list of features": (info(features=[]), "features should be described by name, are a list", "copy"),
    "no shape": (feature("action", shape=2), "a shape of whole numbers; 'action' has not", "correct it"),
    "a notebook's copy": (
        copied_beside(".ipynb_checkpoints/file-000-checkpoint.parquet"),
        "by its name",
        "move it out",
    ),
    "a copy": (copied_beside("chunk-000/file-000 (1).parquet"), "file-000 (1).parquet: is no file", "move it out"),
    "linked elsewhere": (linked_elsewhere, "v3/data: links to a place outside", "if the link is yours", "cp -rL"),
    "no value": (frames("action", put(40, None)), "1 frames have no value of 'action'", "leave their episodes out"),
    "no column of sentences": (
        lambda root: pq.write_table(pa.table({"task_index": [0, 1]}), root / "meta/tasks.parquet"),
        "should have the sentences in the column 'task', has task_index",
    ),
    "length in words": (
        lambda root: pq.write_table(
            (table := pq.read_table(file := next(root.glob("meta/episodes/*/*")))).set_column(
                table.schema.names.index("length"), "length", pa.array([1.5] * len(table))
            ),
            file,
        ),
        "'length' should be a whole number of each episode, is not",
    ),
    "no info": (without("meta/info.json"), "info.json", "should be the JSON", "copy the dataset again"),
    "torn info": (lambda root: (root / "meta/info.json").write_text("{"), "info.json", "not readable", "copy"),
    "poor info": (lambda root: (root / "meta/info.json").write_text("{}"), "lacks codebase_version", "copy"),
    "older": (info(codebase_version="v2.1"), "should be v3.0, got v2.1", "convert_dataset_v21_to_v30 --repo-id=local/"),
    "newer": (info(codebase_version="v4.0"), "should be v3.0, got v4.0", "update LeRobot"),
    "astray": (info(data_path="../../{chunk_index}"), "data_path in meta/info.json should be", "trust who made it"),
    "empty": (info(total_episodes=0), "at least one episode, has none", "record some"),
    "no episodes": (without("meta/episodes/*/*"), "meta/episodes", "never finalized", "finalize()"),
    "torn data": (torn("data/*/*"), "file-000.parquet", "should be a finished parquet file", "finalize()"),
    "no tasks": (without("meta/tasks.parquet"), "meta/tasks.parquet", "finished parquet file", "copy the file"),
    "frames lost": (info(total_frames=999), "data", "should have 999 rows", "has 195", "copy the dataset again"),
    "episodes lost": (info(total_episodes=7), "meta/episodes", "should have 7 rows", "has 6", "copy"),
    "gap": (episodes("dataset_from_index", put(2, 70)), "meta/episodes", "without gaps", "write the dataset anew"),
    "unknown sentence": (episodes("tasks", put(0, ["dance"])), "'dance'", "tasks.parquet", "write it anew"),
    "no sentence": (
        said("Open the  door."),
        "should have episodes of 'open the door', has none",
        "it says 'Open the  door.'",
    ),
    "speechless": (column("meta/tasks.parquet", "task", put(0, " ")), "tasks.parquet"),
    "no statistics": (without("meta/stats.json"), "stats.json", "training normalizes with", "recompute_stats"),
    "no mean": (statistics(lambda s: s["action"].pop("mean")), "lacks mean", "'action'", "recompute_stats"),
    "wide mean": (statistics(lambda s: s["action"].update(mean=[0] * 3)), "should have 2 numbers", "recompute"),
    "infinite": (statistics(lambda s: s["action"].update(max=[1e999, 1])), "should be finite", "recompute_stats"),
    "other mean": (statistics(lambda s: s["action"].update(mean=[9, 0])), "mean of 'action'", "is 9", "recompute"),
    "other std": (statistics(lambda s: s["action"].update(std=[1, 7])), "std of 'action'", "dimension 1", "recompute"),
    "page": (inverted("data/*/*", 10), "file-000.parquet", "should hold the columns", "restore the folder"),
    "nan": (frames("action", put(40, [0.0, float("nan")])), "'action' should be finite", "episode 1", "[1]"),
    "index": (frames("index", put(40, 0)), "column 'index'", "first in episode 1", "restore"),
    "episode index": (frames("episode_index", put(0, 1)), "'episode_index'", "first in episode 0", "restore"),
    "task index": (frames("task_index", put(0, 1)), "'task_index'", "episode 0", "restore"),
    "no such task": (frames("task_index", put(40, 7)), "between 0 and 1", "episode 1", "restore"),
    "tasks in disorder": (column("meta/tasks.parquet", "task_index", list.reverse), "count from 0", "restore"),
    "time": (frames("timestamp", put(3, 7.0)), "frame_index / fps", "episode 0", "fps in meta/info.json"),
    "one bit": (frames("action", lambda v: put(50, [v[50][0], v[50][1] + 1e-6])(v)), "episode 1: not what was", "copy"),
    "more to see": (more("observation.force", "float32"), "'observation.force'", "feature_names=["),
    "actions": (unnamed_action, "should have 'action'", "is it 'actions'?", "rename the column"),
    "fps in words": (info(fps="10"), "info.json: fps should be a number", "is '10'"),
    "no index": (index_unlisted, "info.json: features should list timestamp", "lacks task_index"),
    "twice the sentence": (
        said("pick up the cup"),
        "each sentence once, has 'pick up the cup' twice",
        "modify_tasks",
    ),
    "from a Mac": (lambda root: (root / "data/chunk-000/._file-000.parquet").write_bytes(b"0"), "._file", "delete it"),
    "fps": (info(fps=20), "fps should be 10, got 20", "suite.options"),
}


@pytest.mark.parametrize(("damage", "fragments"), [(d, f) for d, *f in ERRORS.values()], ids=ERRORS)
def test_what_we_break_is_found_with_its_fix(sound, copied, needs, damage, fragments):
    root = copied(sound)
    damage(root)
    told = [str(finding) for finding in examine_dataset(root, needs) if finding.severity == "error"]
    assert told
    for fragment in fragments:
        assert any(fragment in finding for finding in told), (fragment, told)


WARNINGS = {
    "not a number that nobody reads": (
        lambda root: (more("force", "float32")(root), frames("force", put(3, float("nan")))(root)),
        "has 'force', which",
        "leaves that out",
    ),
    "constant": (
        frames("action", lambda values: [number(n, 1, 2.0)(values) for n in range(len(values))]),
        "'action' is the same in all frames in dimension 1",
        "if it never changes",
    ),
    "more": (more("subtask_index", "int64"), "has 'subtask_index', which policies do not read", "leaves that out"),
    "text": (more("note", "string"), "has 'note', which policies do not read", "an import leaves that out"),
    "other numbers": (
        feature("action", dtype="float64"),
        "has 'action' as other numbers than",
        "an import converts them",
    ),
    "sentences beside the index": (
        lambda root: pq.write_table(
            pq.read_table(root / "meta/tasks.parquet").replace_schema_metadata(None), root / "meta/tasks.parquet"
        ),
        "since LeRobot takes row numbers for them else",
        "an import mends it",
    ),
    "two sentences": (frames("task_index", put(3, 1)), "episode 0: several sentences", "none needed"),
    "still": (
        frames("action", lambda values: [put(n, [1.0, 2.0])(values) for n in range(30)]),
        "episode 0: one action from the first frame to the last",
        "delete_episodes '--operation.episode_indices=[0]'",
    ),
    "twice": (repeated, "episodes 6, 7, 8, 9, 10 and 1 more: the same numbers", "[6, 7, 8, 9, 10, 11]"),
    "no quantiles": (
        statistics(lambda s: [s["action"].pop(q) for q in ("q01", "q99")]),
        "lacks the quantiles q01, q99 of 'action'",
        "pi05",
    ),
    "other quantiles": (
        statistics(lambda s: s["action"].update(q50=[0.5, 0])),
        "quantiles of 'action' are not those of the frames",
        "none needed",
    ),
    "left behind": (
        lambda root: shutil.copytree(root / "data", root / "images" / "observation.images.top"),
        "an episode that was never saved",
        "delete the folder",
    ),
}


@pytest.mark.parametrize(("damage", "what", "fix"), WARNINGS.values(), ids=WARNINGS)
def test_what_is_only_odd_is_a_warning(sound, copied, needs, damage, what, fix):
    root = copied(sound)
    damage(root)
    found = examine_dataset(root, needs)
    assert [finding.severity for finding in found if what in finding.what and fix in str(finding)] == ["warning"], found


def test_what_other_writers_keep_otherwise_is_no_fault(sound, copied, needs):
    """More columns beside the sentences, and whole numbers as floats."""
    root = copied(sound)
    tasks = root / "meta" / "tasks.parquet"
    pq.write_table(pq.read_table(tasks).append_column("category", pa.array(["easy", "hard"])), tasks)
    (file,) = root.glob("meta/episodes/*/*")
    table = pq.read_table(file)
    for name in ("length", "dataset_from_index"):
        column = table.schema.names.index(name)
        table = table.set_column(column, name, table[name].cast(pa.float64()))
    pq.write_table(table, file)
    assert examine_dataset(root, needs) == []


def test_a_sound_dataset_has_no_finding(sound, sound_video, sound_image, needs):
    assert examine_dataset(sound, needs) == []
    assert examine_dataset(sound_image) == []
    assert examine_dataset(sound_video) == []


def test_sentences_that_differ_in_spelling_alone_are_one_task(sound, copied):
    root = copied(sound)
    said("Pick up the cup!")(root)
    (found,) = [finding for finding in examine_dataset(root) if finding.severity == "warning"]
    assert "'pick up the cup' and 'Pick up the cup!' differ in case, spaces, or marks alone" in found.what
    assert '{"Pick up the cup!": "pick up the cup"}' in found.command


def test_no_command_is_printed_that_lerobot_cannot_run(sound, copied, needs):
    """Its tools need the sentences in meta/episodes, which the Hub's lerobot/libero has not."""
    root = copied(sound)
    column("meta/tasks.parquet", "task", put(1, "Open the  door."))(root)
    frames("action", lambda values: [put(n, [1.0, 2.0])(values) for n in range(30)])(root)
    (file,) = root.glob("meta/episodes/*/*")
    pq.write_table(pq.read_table(file).drop_columns("tasks"), file)
    (named,) = [finding for finding in examine_dataset(root, needs) if "has none; it says" in finding.what]
    assert (named.command, 'suite.sentences: {"task 1": "Open the  door."}' in named.fix) == ("", True)
    (still,) = [finding for finding in examine_dataset(root) if "one action from" in finding.what]
    assert (still.command, "by hand" in still.fix) == ("", True)


def test_episodes_of_no_task_of_the_suite_are_told(sound, needs):
    (found,) = examine_dataset(sound, needs.model_copy(update={"tasks": needs.tasks[:1]}))
    assert found.severity == "warning"
    assert found.what.startswith("3 episodes of 'open the door' are of no task of the suite")


def test_an_aborted_episode_is_told(tmp_path):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    feature = {"dtype": "float32", "shape": (1,), "names": ["x"]}
    dataset = LeRobotDataset.create("local/short", 10, {"action": feature}, root=tmp_path / "short")
    for length in (40, 3, 40):
        for frame in range(length):
            dataset.add_frame({"action": np.array([frame + length], np.float32), "task": "push"})
        dataset.save_episode()
    dataset.finalize()
    found = [finding for finding in examine_dataset(tmp_path / "short") if "aborted" in finding.what]
    assert [finding.what.split(":")[0] for finding in found] == ["episode 1"]


def test_videos_are_counted(sound_video, copied):
    root = copied(sound_video)
    feature("observation.images.top", shape=[48, 64, 3])(root)
    assert any("shows 64x64 pixels, where meta/info.json says 48x64" in found.what for found in examine_dataset(root))
    feature("observation.images.top", shape=[64, 64, 3], info={"is_depth_map": True})(root)
    assert any("depth maps, 'observation.images.top'" in found.what for found in examine_dataset(root))
    feature("observation.images.top", info={})(root)
    film = next(root.glob("videos/*/*/*.mp4"))
    content = film.read_bytes()
    film.unlink()
    assert "should be a video, but is missing or empty" in examine_dataset(root)[0].what
    film.write_bytes(content[: len(content) // 2])
    assert any("should have 39 frames, as meta/episodes says" in finding.what for finding in examine_dataset(root))
    film.write_bytes(POINTER)
    assert "git lfs pull" in examine_dataset(root)[0].fix
    film.write_bytes(content[:40])
    assert any("cannot be opened" in finding.what for finding in examine_dataset(root))


def png(mode: str = "RGB", size: tuple[int, int] = (48, 64)) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size).save(content, "PNG")
    return content.getvalue()


IMAGES = {
    "gray": (png("L"), "holds some of 1 channel,"),
    "with a mask": (png("RGBA"), "holds some of 4 channels"),
    "small": (png(size=(24, 32)), "holds some of 32x24 pixels"),
    "on its side": (png(size=(64, 48)), "holds some of 48x64 pixels"),
    "torn": (png()[:-20], "holds some that cannot be decoded"),
    "no image": (b"text", "holds some that cannot be decoded"),
    "elsewhere": (None, "lacks the content of some"),
}


@pytest.mark.parametrize(("content", "what"), IMAGES.values(), ids=IMAGES)
def test_an_image_that_is_not_what_it_should_be_is_found(sound_image, copied, content, what):
    """Training would stop at it after a cycle was opened, or learn from it what the environment never shows."""
    root = copied(sound_image)
    frames("observation.images.top", put(5, {"bytes": content, "path": "images/5.png"}))(root)
    shutil.rmtree(root / "meta" / "leagents")  # others keep no digests
    (found,) = [finding for finding in examine_dataset(root) if finding.severity == "error"]
    assert f"'observation.images.top' {what}" in found.what
    assert found.what.endswith("should be images of 64x48 pixels and 3 channels: episode 1")
    assert "--operation.episode_indices=[1]" in found.command


def test_an_image_that_is_not_there_is_found(sound_image, copied):
    root = copied(sound_image)
    frames("observation.images.top", put(5, None))(root)
    assert any("lacks the content of some" in finding.what for finding in examine_dataset(root))


def test_only_the_form_is_read_where_that_is_asked(sound, copied, needs):
    root = copied(sound)
    frames("action", put(40, [0.0, float("nan")]))(root)
    assert examine_dataset(root, needs, content=False) == []


class TestLeRobot:
    """Folders that LeRobot's own writer and tools leave."""

    FEATURES = {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    }
    IMAGE = {"shape": (64, 48, 3), "names": ["height", "width", "channels"]}

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        return tmp_path_factory.mktemp("lerobot")

    @pytest.fixture(scope="class")
    def record(self, folder):
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        def record(name: str, features: dict, level: float = 0.0, frames: int = 40, episodes: int = 3):
            rng = np.random.default_rng(int(level))
            dataset = LeRobotDataset.create(f"local/{name}", 10, features, root=folder / name, robot_type="sim")
            for episode in range(episodes):
                for _ in range(frames):
                    values = {
                        key: rng.integers(0, 255, feature["shape"], dtype=np.uint8)
                        if feature["dtype"] in {"image", "video"}
                        else (rng.normal(size=feature["shape"]) + level).astype(np.float32)
                        for key, feature in features.items()
                    }
                    dataset.add_frame(values | {"task": f"task {episode % 2}"})
                dataset.save_episode(parallel_encoding=False)
            return dataset

        return record

    @pytest.fixture(scope="class")
    def opened(self, folder, record):
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        for name, level in (("first", 0.0), ("second", 5.0)):
            record(name, self.FEATURES, level).finalize()
        return [LeRobotDataset(f"local/{name}", root=folder / name) for name in ("first", "second")]

    @staticmethod
    def serious(root: Path) -> list[str]:
        """What is found beside LeRobot's quantiles, which are means of the episodes' own."""
        found = examine_dataset(root)
        assert all("quantiles" in finding.what or finding.severity == "error" for finding in found), found
        return [str(finding) for finding in found if finding.severity == "error"]

    @pytest.mark.parametrize("kind", ["image", "video"])
    def test_with_images(self, record, folder, kind):
        features = self.FEATURES | {"observation.images.top": self.IMAGE | {"dtype": kind}}
        record(kind, features, frames=6, episodes=2).finalize()
        assert self.serious(folder / kind) == []

    def test_recorded_merged_split_and_cut(self, opened, folder):
        from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets, split_dataset

        merged = merge_datasets(opened, "local/merged", folder / "merged")
        delete_episodes(merged, [0, 4], folder / "cut", "local/cut")
        split_dataset(merged, {"train": [0, 1, 5], "val": [2, 3]}, folder / "split")
        for name in ("first", "merged", "cut", "split/train", "split/val"):
            assert self.serious(folder / name) == [], name

    def test_never_finalized(self, record, folder):
        dataset = record("unfinished", self.FEATURES)
        told = self.serious(folder / "unfinished")
        assert any("meta/episodes" in finding and "finalize()" in finding for finding in told)
        assert any("file-000.parquet" in finding and "finalize()" in finding for finding in told)
        dataset.finalize()
        assert self.serious(folder / "unfinished") == []

    def test_statistics_of_relative_actions_are_not_those_of_the_frames(self, opened, folder):
        from lerobot.datasets.dataset_tools import recompute_stats
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        shutil.copytree(folder / "first", folder / "relative")
        dataset = LeRobotDataset("local/relative", root=folder / "relative")
        recompute_stats(dataset, relative_action=True, chunk_size=4)
        (told,) = self.serious(folder / "relative")
        assert "of 'action' should be those of the frames" in told

    def test_the_older_format_and_its_conversion(self, opened, folder):
        from lerobot.scripts.convert_dataset_v21_to_v30 import convert_dataset

        root = as_v21(folder / "first", folder / "older")
        (told,) = self.serious(root)
        assert f"--root={root}_fixed --push-to-hub=false" in told
        convert_dataset("local/older", root=root, push_to_hub=False)
        assert self.serious(root) == []
        converted = Shards(root)
        assert converted.features["timestamp"]["fps"] == 10, "LeRobot's own recordings have none"
        append_datasets(converted, [Shards(folder / "second")], folder / "grown")
        assert self.serious(folder / "grown") == []
