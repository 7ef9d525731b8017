import json
import shutil

import pyarrow.parquet as pq
import pytest

from leagents_kedro.episodes.checks import check_dataset, check_fit
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError


def edit_info(shards: Shards, **changes) -> None:
    path = shards.root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def dangle(path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


DAMAGES = {
    "no info": (lambda root: (root / "meta" / "info.json").unlink(), "describes a LeRobotDataset, but is not readable"),
    "torn info": (
        lambda root: (root / "meta" / "info.json").write_text("{"),
        "describes a LeRobotDataset, but is not readable",
    ),
    "empty": (lambda root: edit_info(Shards(root), total_episodes=0), "at least one episode, has none"),
    "older": (lambda root: edit_info(Shards(root), codebase_version="v2.1"), "convert_dataset_v21_to_v30"),
    "newer": (lambda root: edit_info(Shards(root), codebase_version="v4.0"), "update LeRobot"),
    "no episodes": (lambda root: shutil.rmtree(root / "meta" / "episodes"), "finalized"),
    "no data": (lambda root: shutil.rmtree(root / "data"), "/data: should have 23 rows, .* has 0"),
    "no footer": (
        lambda root: truncate(next(root.glob("data/*/*.parquet"))),
        r"finished parquet file, is not.*finalize\(\)",
    ),
    "no episode footer": (
        lambda root: truncate(next(root.glob("meta/episodes/*/*"))),
        r"finished parquet file, is not.*finalize\(\)",
    ),
    "data gone": (
        lambda root: dangle(next(root.glob("data/*/*.parquet"))),
        "file-000.parquet: should be a finished parquet file, is not",
    ),
    "episodes gone": (
        lambda root: dangle(next(root.glob("meta/episodes/*/*"))),
        "file-000.parquet: should be a finished parquet file, is not",
    ),
    "no tasks": (lambda root: (root / "meta" / "tasks.parquet").unlink(), "tasks.parquet"),
    "no statistics": (lambda root: (root / "meta" / "stats.json").unlink(), "recompute_stats"),
    "episodes lost": (
        lambda root: edit_info(Shards(root), total_episodes=5),
        "meta/episodes: should have 5 rows, .* has 4",
    ),
    "frames lost": (lambda root: edit_info(Shards(root), total_frames=24), "/data: should have 24 rows, .* has 23"),
}


@pytest.mark.parametrize(("damage", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_dataset_is_refused_before_lerobot_asks_the_hub(make_shards, damage, expected):
    root = make_shards("mix").root
    assert check_dataset(root) == Shards(root)
    damage(root)
    with pytest.raises(EpisodesError, match=expected):
        check_dataset(root)
    with pytest.raises(EpisodesError, match=expected):
        opened(Shards(root))


def test_a_folder_that_does_not_exist_is_refused_and_not_made(tmp_path):
    with pytest.raises(EpisodesError, match="describes a LeRobotDataset, but is not readable"):
        opened(Shards(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_an_episode_beyond_the_dataset_is_refused(make_shards):
    with pytest.raises(EpisodesError, match=r"between 0 and 3, got \[4\]"):
        opened(make_shards("mix"), episodes=[0, 4])


def test_a_missing_video_is_refused(make_shards, video):
    shards = make_shards("film", lengths=[3], features=video)
    check_dataset(shards.root)
    next(shards.root.glob("videos/*/*/*.mp4")).unlink()
    with pytest.raises(
        EpisodesError, match=r"videos/observation\.images\.top/chunk-000/file-000\.mp4: .* is missing or empty"
    ):
        check_dataset(shards.root)


def test_episodes_with_gaps_are_refused(make_shards):
    import pyarrow as pa
    import pyarrow.parquet as pq

    shards = make_shards("mix")
    (file,) = shards.episode_files
    table = pq.read_table(file)
    shifted = pa.array([start + 1 for start in table["dataset_from_index"].to_pylist()])
    position = table.schema.get_field_index("dataset_from_index")
    pq.write_table(table.set_column(position, "dataset_from_index", shifted), file)
    with pytest.raises(EpisodesError, match="without gaps"):
        check_dataset(shards.root)


def test_a_dataset_fits_the_environment_it_comes_from(make_shards, state, video):
    check_fit(make_shards("mix"), state, 10)
    stored_channels_first = make_shards("film", lengths=[2], features=video)
    image = {"dtype": "image", "shape": (3, 64, 64), "names": ["channels", "height", "width"]}
    check_fit(stored_channels_first, video | {"observation.images.top": image}, 10)


def test_rewards_may_be_missing_from_an_imported_dataset(make_shards, state):
    policy_features = {key: state[key] for key in ("observation.state", "action")}
    check_fit(make_shards("mix", features=policy_features), state, 10)


def test_all_differences_from_the_environment_are_named(make_shards, state):
    environment = {
        "observation.state": state["observation.state"] | {"shape": (7,)},
        "observation.environment_state": state["observation.state"],
        "action": state["action"] | {"dtype": "float64"},
    }
    with pytest.raises(EpisodesError) as caught:
        check_fit(make_shards("mix"), environment, 80)
    for expected in (
        "fps should be 80, got 10",
        "'observation.state' should be float32 (7,), got float32 (4,)",
        "'observation.environment_state' is missing",
        "'action' should be float64 (4,), got float32 (4,)",
        "the environment does not give 'next.reward'",
    ):
        assert expected in str(caught.value)


def test_a_file_is_read_again_once_it_was_written(make_shards):
    root = make_shards("mix").root
    check_dataset(root)
    file = next(root.glob("data/*/*.parquet"))
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    with pytest.raises(EpisodesError, match=r"/data: should have 23 rows, .* has 22"):
        check_dataset(root)
