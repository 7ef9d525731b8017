import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from lerobot.utils.feature_utils import dataset_to_policy_features

from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.columns import INDEX_COLUMNS, numeric_features, read_columns, recorded_features, taken_over
from leagents_kedro.episodes.compaction import compact_dataset
from leagents_kedro.episodes.digests import episode_digests
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Episode, Shards
from leagents_kedro.episodes.writing import append_datasets, import_dataset, write_episodes
from leagents_kedro.errors import EpisodesError

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def written_by_lerobot(root: Path, episodes: list[Episode], features: dict) -> Shards:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset.create("local/reference", 10, features, root=root, robot_type="sim")
    for episode in episodes:
        for frame in range(len(episode.columns["action"])):
            dataset.add_frame(
                {key: column[frame] for key, column in episode.columns.items()} | {"task": episode.sentence}
            )
        dataset.save_episode()
    dataset.finalize()
    return Shards(root)


def statistics_of(shards: Shards) -> dict:
    return json.loads((shards.root / "meta" / "stats.json").read_text())


def inodes(root: Path, pattern: str) -> set[int]:
    return {file.stat().st_ino for file in root.glob(pattern)}


def contents(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def items_of(shards: Shards) -> list[dict]:
    dataset = opened(shards)
    return [dataset[frame] for frame in range(len(dataset))]


def assert_concatenated(shards: Shards, sources: list[Shards]) -> None:
    """Every frame is the one of its source, under indices that count on."""
    items = items_of(shards)
    expected = [(source, item) for source in range(len(sources)) for item in items_of(sources[source])]
    assert len(items) == len(expected) == shards.total_frames
    first_episode = np.cumsum([0, *(source.total_episodes for source in sources)])
    for index, (item, (source, original)) in enumerate(zip(items, expected, strict=True)):
        assert item["index"] == index
        assert item["episode_index"] == original["episode_index"] + first_episode[source]
        assert item["task"] == original["task"]
        for key in set(original) - {"index", "episode_index", "task_index", "task"}:
            assert torch.equal(item[key], original[key]), key


def assert_exact_statistics(shards: Shards, rank_error: float = 0.0) -> None:
    """Of all rows; quantiles may be those of ranks that are off by ``rank_error``."""
    statistics = statistics_of(shards)
    for key, values in read_columns(shards.data_files, numeric_features(shards.features)).items():
        rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1).astype(np.float64)
        kept = statistics[key]
        assert kept["count"] == [shards.total_frames]
        np.testing.assert_array_equal(kept["min"], rows.min(axis=0))
        np.testing.assert_array_equal(kept["max"], rows.max(axis=0))
        np.testing.assert_allclose(kept["mean"], rows.mean(axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(kept["std"], rows.std(axis=0), rtol=1e-9, atol=1e-12)
        for name, quantile in QUANTILES.items():
            low, high = (
                np.quantile(rows, np.clip(quantile + error, 0, 1), axis=0) for error in (-rank_error, rank_error)
            )
            assert (kept[name] >= low - 1e-9 - 1e-6 * abs(low)).all(), (key, name)
            assert (kept[name] <= high + 1e-9 + 1e-6 * abs(high)).all(), (key, name)


def assert_merged_statistics(shards: Shards) -> None:
    assert_exact_statistics(shards, rank_error=0.005 + 1 / shards.total_frames)


@pytest.fixture
def both_writers(random_episodes, every_kind, tmp_path) -> tuple[Shards, Shards]:
    episodes = random_episodes(1, every_kind, (5, 7, 2, 9, 6, 3, 4, 8, 2, 5, 6), ("pick up the cup", "Öffne die Tür"))
    write_episodes(tmp_path / "ours", episodes, every_kind, 10, "sim")
    return Shards(tmp_path / "ours"), written_by_lerobot(tmp_path / "theirs", episodes, every_kind)


def test_info_and_tasks_are_those_of_lerobots_writer(both_writers):
    ours, theirs = both_writers
    assert ours.info == theirs.info
    assert list(ours.info["features"]) == list(theirs.info["features"])
    read = [pq.read_table(shards.root / "meta" / "tasks.parquet") for shards in both_writers]
    assert read[0].to_pandas().equals(read[1].to_pandas())
    ours_alone = {"meta/leagents/statistics.parquet", "meta/leagents/digests/chunk-000/file-000.parquet"}
    assert contents(ours.root).keys() - ours_alone == contents(theirs.root).keys()


def test_frames_are_those_of_lerobots_writer(both_writers):
    read = [pq.ParquetFile(shards.data_files[0]) for shards in both_writers]
    assert read[0].schema_arrow.equals(read[1].schema_arrow)
    described = [json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"] for file in read]
    assert described[0] == described[1]
    assert read[0].num_row_groups == read[1].num_row_groups == 11, "one row group an episode"
    assert read[0].read().equals(read[1].read())


def test_episodes_are_those_of_lerobots_writer_with_exact_statistics(both_writers):
    ours, theirs = (shards.episode_table() for shards in both_writers)
    assert set(ours["provenance"].to_pylist()) == {""}
    ours = ours.drop_columns("provenance")
    assert ours.schema.equals(theirs.schema)
    for name in ours.column_names:
        kind = name.split("/")[-1] if name.startswith("stats/") else "place"
        for row, (own, reference) in enumerate(zip(ours[name].to_pylist(), theirs[name].to_pylist(), strict=True)):
            if kind in QUANTILES:
                assert len(own) == len(reference)
            elif kind in {"min", "max", "mean"}:
                np.testing.assert_allclose(own, reference, rtol=1e-5, atol=1e-5, err_msg=name)
            elif kind == "std":
                # LeRobot subtracts the squared mean from the mean square, in float32.
                mean = np.array(ours[name.removesuffix("std") + "mean"][row].as_py())
                lost = 4 * np.finfo(np.float32).eps * (1 + np.max(mean**2))
                np.testing.assert_allclose(np.square(own), np.square(reference), rtol=1e-3, atol=lost, err_msg=name)
            else:
                assert own == reference, name


def test_statistics_are_those_of_lerobots_writer_with_exact_quantiles(both_writers):
    assert_exact_statistics(both_writers[0])
    ours, theirs = (statistics_of(shards) for shards in both_writers)
    assert ours.keys() == theirs.keys()
    for key, reference in theirs.items():
        assert ours[key].keys() == reference.keys()
        for name, value in reference.items():
            assert np.shape(ours[key][name]) == np.shape(value), (key, name)
            if name not in QUANTILES:
                np.testing.assert_allclose(ours[key][name], value, rtol=1e-3, atol=1e-4)


def test_lerobot_opens_what_was_written(make_shards, every_kind, random_episodes):
    shards = make_shards("mix", features=every_kind)
    assert check_dataset(shards.root) == shards
    episodes = random_episodes(sum(b"mix"), every_kind, (5, 7, 2, 9), ("pick up the cup", "Öffne die Tür"))
    items = items_of(shards)
    for key in every_kind:
        written = np.concatenate([episode.columns[key] for episode in episodes])
        read = np.stack([item[key].numpy() for item in items])
        np.testing.assert_array_equal(read, written.reshape(read.shape).astype(read.dtype))
    assert [item["task"] for item in items] == [each.sentence for each in episodes for _ in each.columns["action"]]


def test_an_episode_of_one_frame_is_written(make_shards):
    shards = make_shards("mix", lengths=[1, 3])
    assert len(items_of(shards)) == 4


def test_videos_are_written_by_lerobot_and_numbers_get_exact_statistics(make_shards, video):
    shards = make_shards("film", lengths=[3, 4], features=video)
    check_dataset(shards.root)
    assert items_of(shards)[0]["observation.images.top"].shape == (3, 64, 64)
    assert_exact_statistics(shards)
    assert np.shape(statistics_of(shards)["observation.images.top"]["q99"]) == (3, 1, 1)


def test_images_are_written_and_appended(make_shards, tmp_path):
    features = {
        "observation.image": {"dtype": "image", "shape": (16, 16, 3), "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }
    a, b = make_shards("a", lengths=[3, 2], features=features), make_shards("b", lengths=[4], features=features)
    append_datasets(a, [b], tmp_path / "ab")
    assert_concatenated(check_dataset(tmp_path / "ab"), [a, b])
    assert_merged_statistics(Shards(tmp_path / "ab"))


BROKEN = {
    "missing column": (lambda columns: columns.pop("action"), "columns should be"),
    "column too many": (lambda columns: columns.update(extra=columns["action"]), "columns should be"),
    "shape": (
        lambda columns: columns.update(action=columns["action"][:, :3]),
        r"'action' should have shape \(frames, 4\)",
    ),
    "dtype": (lambda columns: columns.update({"next.success": columns["next.reward"]}), "'next.success' should have"),
    "lengths": (lambda columns: columns.update(action=columns["action"][:2]), r"one number of frames, .* got \[2, 5\]"),
    "no frames": (lambda columns: columns.update({key: value[:0] for key, value in columns.items()}), "at least 1"),
    "not finite": (lambda columns: columns["action"].put(3, np.nan), "'action' has values that are not finite"),
}


@pytest.mark.parametrize(("damage", "expected"), BROKEN.values(), ids=BROKEN)
def test_an_episode_that_does_not_fit_is_named_and_nothing_is_written(
    random_episodes, state, tmp_path, damage: Callable, expected: str
):
    episodes = random_episodes(0, state, (4, 5), ("reach",))
    damage(episodes[1].columns)
    with pytest.raises(EpisodesError, match=r"episode 1 \('reach'\)" + f".*{expected}"):
        write_episodes(tmp_path / "mix", episodes, state, 10, None)
    assert not (tmp_path / "mix").exists()


def test_a_dataset_is_written_once(make_shards, state, random_episodes):
    root = make_shards("mix").root
    with pytest.raises(EpisodesError, match="exists"):
        write_episodes(root, random_episodes(0, state, (4,), ("reach",)), state, 10, None)
    with pytest.raises(EpisodesError, match="at least one episode"):
        write_episodes(root.with_name("empty"), [], state, 10, None)


def test_text_is_refused(state, random_episodes, tmp_path):
    features = state | {"note": {"dtype": "string", "shape": (1,), "names": None}}
    with pytest.raises(EpisodesError, match="but note are not"):
        write_episodes(tmp_path / "mix", random_episodes(0, state, (4,), ("reach",)), features, 10, None)


def test_appending_links_the_old_and_leaves_it_as_it_was(make_shards, every_kind, tmp_path):
    base, addition = make_shards("base", features=every_kind), make_shards("new", (4, 6), ["wave"], every_kind)
    before = contents(base.root)
    append_datasets(base, [addition], tmp_path / "both")
    assert contents(base.root) == before
    for pattern in ("data/*/*", "meta/episodes/*/*"):
        old, new = inodes(base.root, pattern), inodes(tmp_path / "both", pattern)
        assert old < new
        assert len(new - old) == 1


@pytest.mark.slow
def test_every_appended_frame_is_that_of_its_source(make_shards, every_kind, tmp_path):
    base = make_shards("base", features=every_kind)
    additions = [
        make_shards("second", (4, 6), ["wave", "pick up the cup"], every_kind),
        make_shards("third", (3,), ["Öffne die Tür"], every_kind),
    ]
    append_datasets(base, additions, tmp_path / "all")
    merged = check_dataset(tmp_path / "all")
    assert merged.tasks == ("pick up the cup", "Öffne die Tür", "wave")
    assert merged.info["splits"] == {"train": "0:7"}
    assert_concatenated(merged, [base, *additions])
    assert_merged_statistics(merged)


@pytest.mark.slow
def test_an_appended_dataset_is_appended_to_and_appended(make_shards, tmp_path):
    a, b, c = make_shards("a"), make_shards("b", (3, 4), ["wave"]), make_shards("c", (6,), ["bow", "wave"])
    append_datasets(a, [b], tmp_path / "ab")
    ab = Shards(tmp_path / "ab")
    append_datasets(ab, [c], tmp_path / "ab_c")
    append_datasets(c, [ab], tmp_path / "c_ab")
    for merged, sources in ((tmp_path / "ab_c", [a, b, c]), (tmp_path / "c_ab", [c, a, b])):
        assert_concatenated(check_dataset(merged), sources)
        assert_merged_statistics(Shards(merged))
    assert len(Shards(tmp_path / "ab_c").data_files) == 3
    assert len(Shards(tmp_path / "c_ab").data_files) == 2


def test_episode_statistics_follow_the_new_indices(make_shards, tmp_path):
    base, addition = make_shards("base"), make_shards("new", (4, 6), ["wave", "bow"])
    append_datasets(base, [addition], tmp_path / "both")
    merged = Shards(tmp_path / "both")
    table = merged.episode_table()
    frames = read_columns(merged.data_files, {key: merged.features[key] for key in INDEX_COLUMNS})
    for row in table.to_pylist():
        own = slice(row["dataset_from_index"], row["dataset_to_index"])
        for key in ("index", "episode_index", "task_index", "timestamp"):
            assert row[f"stats/{key}/min"] == [frames[key][own].min()]
            assert row[f"stats/{key}/max"] == [frames[key][own].max()]
            np.testing.assert_allclose(row[f"stats/{key}/mean"], frames[key][own].mean())
            assert row[f"stats/{key}/count"] == [row["length"]]
        path = merged.info["data_path"].format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
        assert row["episode_index"] in pq.read_table(merged.root / path)["episode_index"].to_pylist()
    assert table["meta/episodes/file_index"].to_pylist() == [0, 0, 0, 0, 1, 1]


def test_videos_are_linked_and_show_the_same_frames(make_shards, video, tmp_path):
    a, b, c = (
        make_shards(name, lengths, [name], video) for name, lengths in (("a", (5, 3)), ("b", (4,)), ("c", (3, 2)))
    )
    append_datasets(a, [b, c], tmp_path / "abc")
    merged = check_dataset(tmp_path / "abc")
    videos = "videos/*/*/*.mp4"
    assert inodes(merged.root, videos) == inodes(a.root, videos) | inodes(b.root, videos) | inodes(c.root, videos)
    assert_concatenated(merged, [a, b, c])
    assert_merged_statistics(merged)
    means = [np.array(statistics_of(each)["observation.images.top"]["mean"]) for each in (a, b, c)]
    weights = [statistics_of(each)["observation.images.top"]["count"][0] for each in (a, b, c)]
    np.testing.assert_allclose(
        statistics_of(merged)["observation.images.top"]["mean"], np.average(means, axis=0, weights=weights)
    )


def test_rollouts_are_appended_to_a_dataset_that_lerobot_wrote(both_writers, make_shards, every_kind, tmp_path):
    """An older LeRobot kept no quantiles; all files of meta/episodes must have the columns of the first."""
    _, theirs = both_writers
    (file,) = theirs.episode_files
    table = pq.read_table(file)
    quantiles = [name for name in table.column_names if name.split("/")[-1] in QUANTILES]
    pq.write_table(table.drop_columns(quantiles), file)
    ours = make_shards("rollouts", (3, 4), ["wave"], every_kind)
    append_datasets(theirs, [ours], tmp_path / "grown")
    append_datasets(ours, [theirs], tmp_path / "turned")
    assert_concatenated(Shards(tmp_path / "grown"), [theirs, ours])
    assert_concatenated(Shards(tmp_path / "turned"), [ours, theirs])
    assert_merged_statistics(Shards(tmp_path / "grown"))


@pytest.mark.slow
def test_what_other_writers_add_to_features_and_episodes_does_not_matter(make_shards, video, tmp_path):
    """LeRobot's converter adds ``fps`` to every feature; older writers name dimensions by a group, or a channel."""
    base, addition = make_shards("base", (4, 3), features=video), make_shards("new", (3,), ["wave"], video)
    features = {key: feature | {"fps": 10} for key, feature in base.info["features"].items()}
    features["action"]["names"] = {"motors": features["action"]["names"]}
    features["observation.state"]["names"] = None
    film = features["observation.images.top"]
    film |= {"names": ["height", "width", "channel"], "video_info": film.pop("info")}
    (base.root / "meta" / "info.json").write_text(json.dumps(base.info | {"features": features}))
    (file,) = base.episode_files
    pq.write_table(pq.read_table(file).append_column("operator", pa.array(["Ann", "Bo"])), file)
    append_datasets(Shards(base.root), [addition], tmp_path / "grown")
    grown = check_dataset(tmp_path / "grown")
    assert_concatenated(grown, [base, addition])
    assert all(feature["fps"] == 10 for feature in grown.features.values()), "the base's"
    assert grown.episode_table(["operator"])["operator"].to_pylist() == ["Ann", "Bo", None]
    append_datasets(grown, [make_shards("more", (2,), ["wave"], video)], tmp_path / "further")


def test_a_chunk_that_is_full_is_followed_by_the_next(make_shards, tmp_path):
    base, addition = make_shards("base"), make_shards("new", (4,), ["wave"])
    path = base.root / "meta" / "info.json"
    path.write_text(json.dumps(base.info | {"chunks_size": 1}))
    append_datasets(Shards(base.root), [addition], tmp_path / "both")
    assert (tmp_path / "both" / "data" / "chunk-001" / "file-000.parquet").exists()
    assert_concatenated(check_dataset(tmp_path / "both"), [base, addition])


def test_what_does_not_belong_together_is_not_merged(make_shards, state, tmp_path):
    base = make_shards("base")
    renamed = state | {"action": state["action"] | {"names": ["a", "b", "c", "d"]}}
    narrower = state | {"action": state["action"] | {"shape": (3,), "names": None}}
    fewer = {key: state[key] for key in ("observation.state", "action")}
    for number, (changes, expected) in enumerate(
        [
            ({"fps": 20}, "fps should be 10, got 20"),
            ({"robot_type": "real"}, "robot_type should be sim, got real"),
            ({"features": renamed}, r"feature 'action' should be .*'gripper'.* got .*'d'"),
            ({"features": narrower}, r"feature 'action' should be .*\(4,\).* got .*\(3,\)"),
            ({"features": fewer}, "feature 'next.reward' should be .* got None"),
        ]
    ):
        with pytest.raises(EpisodesError, match=expected):
            append_datasets(base, [make_shards(f"other{number}", **changes)], tmp_path / "both")
        assert not (tmp_path / "both").exists()


def test_episodes_that_are_there_already_are_left_out(make_shards, tmp_path, caplog):
    base, addition = make_shards("base"), make_shards("new", (4, 6), ["wave"])
    copy = Shards(tmp_path / "copy")
    shutil.copytree(addition.root, copy.root)
    append_datasets(base, [addition, addition, copy, base], tmp_path / "both")
    both = check_dataset(tmp_path / "both")
    assert_concatenated(both, [base, addition])
    assert_merged_statistics(both)
    assert f"{copy.root}: 2 of 2 episodes are in" in caplog.text
    append_datasets(both, [make_shards("more", (3,))], tmp_path / "three")
    append_datasets(Shards(tmp_path / "three"), [addition], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "three"), "merged in an earlier cycle"


@pytest.mark.slow
def test_the_other_episodes_of_an_addition_are_appended(random_episodes, state, every_kind, video, tmp_path):
    for name, features in (("numbers", every_kind), ("films", video)):
        old, new = (random_episodes(seed, features, (4, 3, 5), ("wave", "bow")) for seed in (1, 2))
        for part, episodes in (("base", old), ("mixed", [new[0], old[1], new[1], old[0], new[2]]), ("rest", new)):
            write_episodes(tmp_path / name / part, episodes, features, 10, "sim")
        base, mixed, rest = (Shards(tmp_path / name / part) for part in ("base", "mixed", "rest"))
        append_datasets(base, [mixed], tmp_path / name / "grown")
        grown = check_dataset(tmp_path / name / "grown")
        if name == "numbers":
            assert_concatenated(grown, [base, rest])
            assert_merged_statistics(grown)
        else:
            assert grown.total_episodes == 8, "encoded in another file: not the same video"


def test_digests_do_not_depend_on_who_writes_where(both_writers, make_shards, every_kind, tmp_path):
    ours, theirs = both_writers
    assert episode_digests(ours).to_pylist() == episode_digests(theirs).to_pylist()
    grown = tmp_path / "grown"
    append_datasets(make_shards("base", features=every_kind), [theirs], grown)
    shutil.rmtree(grown / "meta" / "leagents")
    assert episode_digests(Shards(grown)).to_pylist()[-11:] == episode_digests(ours).to_pylist()
    assert len(set(episode_digests(ours).to_pylist())) == 11


def test_a_sentence_or_a_frame_makes_another_episode(random_episodes, state, tmp_path):
    (episode,) = random_episodes(0, state, (4,), ("wave",))
    action = episode.columns["action"].copy()
    action[-1, -1] += 1
    others = [
        episode,
        Episode("bow", episode.columns),
        Episode("wave", episode.columns | {"action": action}),
        Episode("wave", {key: values[:3] for key, values in episode.columns.items()}),
    ]
    write_episodes(tmp_path / "mix", others, state, 10, None)
    assert len(set(episode_digests(Shards(tmp_path / "mix")).to_pylist())) == 4


def test_what_another_writer_changed_is_computed_anew(both_writers, make_shards, every_kind, tmp_path):
    """LeRobot can lengthen a dataset in place; what is kept beside it is then of another one."""
    ours, theirs = both_writers
    shutil.copytree(
        make_shards("shorter", features=every_kind).root / "meta" / "leagents", theirs.root / "meta" / "leagents"
    )
    addition = make_shards("new", (4, 6), ["wave"], every_kind)
    append_datasets(theirs, [addition], tmp_path / "grown")
    assert_merged_statistics(Shards(tmp_path / "grown"))
    assert episode_digests(Shards(tmp_path / "grown")).to_pylist()[:11] == episode_digests(ours).to_pylist()


@pytest.mark.slow
def test_lerobots_tools_do_not_mind_what_is_kept_beside(make_shards, tmp_path):
    from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets, recompute_stats

    base, other = make_shards("base"), make_shards("other", (3, 4), ["wave"])
    append_datasets(base, [other], tmp_path / "both")
    both = Shards(tmp_path / "both")
    delete_episodes(opened(both), [0, 5], output_dir=tmp_path / "fewer", repo_id="local/fewer")
    merge_datasets([opened(both), opened(other)], "local/merged", output_dir=tmp_path / "merged")
    for name, addition in (("fewer", make_shards("x", (4,))), ("merged", make_shards("y", (5,)))):
        append_datasets(Shards(tmp_path / name), [addition], tmp_path / f"{name}_grown")
        assert_merged_statistics(check_dataset(tmp_path / f"{name}_grown"))
    shutil.copytree(both.root, tmp_path / "edited")
    recompute_stats(opened(Shards(tmp_path / "edited")))
    check_dataset(tmp_path / "edited")


def told_of(shards):
    return shards.episode_table()["provenance"].to_pylist()


def with_provenance(root, episodes, features):
    told = [replace(episode, provenance=f"{root.name} {number}") for number, episode in enumerate(episodes)]
    write_episodes(root, told, features, 10, "sim")
    return Shards(root)


def test_how_an_episode_was_made_is_kept_wherever_it_goes(make_shards, random_episodes, state, tmp_path):
    made = with_provenance(tmp_path / "made", random_episodes(0, state, (3, 4), ["wave"]), state)
    assert told_of(made) == ["made 0", "made 1"]
    append_datasets(make_shards("plain", (5,)), [made], tmp_path / "grown")
    append_datasets(Shards(tmp_path / "grown"), [make_shards("more", (2,))], tmp_path / "mix")
    mix = Shards(tmp_path / "mix")
    assert told_of(mix) == ["", "made 0", "made 1", ""]
    import_dataset(mix.root, tmp_path / "taken", mix.features, shares_files=False)
    compact_dataset(tmp_path / "mix")
    for each in (mix, Shards(tmp_path / "taken")):
        assert told_of(Shards(each.root)) == ["", "made 0", "made 1", ""]
        assert opened(each).meta.episodes["provenance"] == ["", "made 0", "made 1", ""]


def test_what_is_appended_to_a_dataset_of_others_keeps_how_it_was_made(
    both_writers, random_episodes, every_kind, tmp_path
):
    _, theirs = both_writers
    import_dataset(theirs.root, tmp_path / "imported", theirs.features, shares_files=False)
    made = with_provenance(tmp_path / "made", random_episodes(1, every_kind, (3,), ["wave"]), every_kind)
    append_datasets(Shards(tmp_path / "imported"), [made], tmp_path / "grown")
    grown = check_dataset(tmp_path / "grown")
    assert told_of(grown) == [""] * theirs.total_episodes + ["made 0"]


@pytest.mark.slow
def test_lerobots_tools_and_recorder_do_not_mind_how_an_episode_was_made(make_shards, random_episodes, state, tmp_path):
    from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets, split_dataset
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    made = with_provenance(tmp_path / "made", random_episodes(0, state, (3, 4), ["wave"]), state)
    append_datasets(make_shards("plain", (5,)), [made], tmp_path / "mix")
    mix, plain = Shards(tmp_path / "mix"), make_shards("other", (2, 3))
    delete_episodes(opened(mix), [0], output_dir=tmp_path / "fewer", repo_id="local/fewer")
    merge_datasets([opened(mix), opened(plain)], "local/merged", output_dir=tmp_path / "merged")
    merge_datasets([opened(plain), opened(mix)], "local/turned", output_dir=tmp_path / "turned")
    split_dataset(opened(mix), {"a": [0], "b": [1, 2]}, output_dir=tmp_path / "split")
    shutil.copytree(mix.root, tmp_path / "recorded")
    recording = LeRobotDataset.resume("local/recorded", root=tmp_path / "recorded")
    for frame in range(3):
        values = {
            key: episode_values[frame]
            for key, episode_values in random_episodes(3, state, (3,), ["wave"])[0].columns.items()
        }
        recording.add_frame(values | {"task": "wave"})
    recording.save_episode()
    recording.finalize()
    lengths = {"fewer": 2, "merged": 5, "turned": 5, "split/a": 1, "split/b": 2, "recorded": 4}
    assert {name: opened(Shards(tmp_path / name)).meta.total_episodes for name in lengths} == lengths
    told = {"merged": ["", "made 0", "made 1", "", "", ""], "turned": ["", "", "", "made 0", "made 1", ""]}
    for name in lengths:
        grown = tmp_path / f"{name}_grown"
        append_datasets(Shards(tmp_path / name), [make_shards(f"new {name.replace('/', ' ')}", (4,))], grown)
        check_dataset(grown)
        if name in told:
            assert told_of(Shards(grown)) == told[name]


def test_an_import_links_frames_and_copies_meta(make_shards, tmp_path):
    source = make_shards("source")
    import_dataset(source.root, tmp_path / "imported")
    assert contents(tmp_path / "imported") == contents(source.root)
    assert inodes(tmp_path / "imported", "data/*/*") == inodes(source.root, "data/*/*")
    assert not inodes(tmp_path / "imported", "meta/*.json") & inodes(source.root, "meta/*.json")


def test_an_import_leaves_out_what_nobody_reads_and_converts_what_policies_read(random_episodes, state, tmp_path):
    """A writer's own columns, and numbers of other types, index columns too."""
    others = {
        "action": state["action"] | {"dtype": "float64"},
        "observation.state": state["observation.state"] | {"dtype": "int64"},
        "observation.gripper": {"dtype": "bool", "shape": (1,), "names": None},
        "next.success": state["next.success"] | {"dtype": "float32"},
        "subtask_index": {"dtype": "int64", "shape": (1,), "names": None},
        "quality": {"dtype": "bool", "shape": (1,), "names": None},
    }
    episodes = random_episodes(3, others, (4, 6), ("wave", "bow"))
    source = written_by_lerobot(tmp_path / "source", episodes, others)
    (file,) = source.data_files
    table = pq.read_table(file)
    table = table.append_column("note", pa.array(["fine"] * len(table)))
    for name, kind in (("timestamp", pa.float64()), ("frame_index", pa.int32())):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    pq.write_table(table.replace_schema_metadata(None), file)
    features = source.info["features"] | {"note": {"dtype": "string", "shape": [1], "names": None}}
    features["timestamp"]["dtype"], features["frame_index"]["dtype"] = "float64", "int32"
    (source.root / "meta" / "info.json").write_text(json.dumps(source.info | {"features": features}))
    for place in (source.root, *source.root.rglob("*")):
        place.chmod(0o555 if place.is_dir() else 0o444)
    before = contents(source.root)
    wanted = state | {"observation.gripper": {"dtype": "float32", "shape": (1,), "names": None}}
    import_dataset(source.root, tmp_path / "mix", taken_over(Shards(source.root).features, wanted), shares_files=False)
    mix = check_dataset(tmp_path / "mix")
    assert all(place.stat().st_mode & 0o200 for place in mix.root.rglob("*")), "of new files, not those of the source"
    kept = {"action", "observation.state", "observation.gripper"}
    assert recorded_features(mix.features).keys() == kept
    assert {mix.features[key]["dtype"] for key in kept | {"timestamp"}} == {"float32"}
    assert [item["task"] for item in items_of(mix)] == ["wave"] * 4 + ["bow"] * 6
    assert_exact_statistics(mix)
    np.testing.assert_allclose(
        read_columns(mix.data_files, {"action": mix.features["action"]})["action"],
        np.concatenate([episode.columns["action"] for episode in episodes]),
        rtol=1e-6,
    )
    rollouts = {key: wanted[key] for key in recorded_features(mix.features)}
    append_datasets(
        mix,
        [make_written(tmp_path / "new", random_episodes(4, rollouts, (3,), ("wave",)), rollouts)],
        tmp_path / "grown",
    )
    assert len(items_of(check_dataset(tmp_path / "grown"))) == 13
    assert contents(source.root) == before


def test_what_other_writers_leave_out_is_there_after_an_import(make_shards, video, random_episodes, tmp_path):
    source = make_shards("source", (3, 4), features=video)
    told = json.loads((source.root / "meta" / "info.json").read_text())
    for key in ("chunks_size", "data_files_size_in_mb", "video_files_size_in_mb", "splits", "robot_type"):
        del told[key]
    told |= {"fps": 10.0, "total_tasks": 0, "video_path": None}
    told["features"]["timestamp"]["shape"] = []
    told["features"]["observation.images.top"]["names"] = {"h": 0, "w": 1, "c": 2}
    (source.root / "meta" / "info.json").write_text(json.dumps(told))
    (file,) = source.episode_files
    sentences = [sentence for (sentence,) in pq.read_table(file)["tasks"].to_pylist()]
    pq.write_table(pq.read_table(file).drop_columns("tasks").append_column("tasks", pa.array(sentences)), file)
    tasks = source.root / "meta" / "tasks.parquet"
    pq.write_table(pq.read_table(tasks).replace_schema_metadata(None), tasks)  # pandas finds no index
    assert [finding for finding in examine_dataset(source.root) if finding.severity == "error"] == []
    import_dataset(source.root, tmp_path / "mix", taken_over(Shards(source.root).features, video), shares_files=False)
    mix = check_dataset(tmp_path / "mix")
    assert mix.episode_table(["tasks"])["tasks"].to_pylist() == [[sentence] for sentence in sentences]
    assert opened(mix).meta.tasks.index.tolist() == list(source.tasks)
    assert dataset_to_policy_features(mix.features)["observation.images.top"].shape == (3, 64, 64)
    rollouts = random_episodes(1, video, (2,), ("wave",))
    write_episodes(tmp_path / "new", rollouts, recorded_features(mix.features), mix.fps, mix.robot_type)
    append_datasets(mix, [Shards(tmp_path / "new")], tmp_path / "grown")
    compact_dataset(tmp_path / "grown")
    assert_concatenated(check_dataset(tmp_path / "grown"), [mix, Shards(tmp_path / "new")])


def make_written(root, episodes, features):
    write_episodes(root, episodes, features, 10, "sim")
    return Shards(root)


def test_an_import_from_the_hub_cache_follows_its_links(make_shards, tmp_path):
    blobs = make_shards("blobs")
    for file in blobs.root.rglob("*"):
        if file.is_file():
            link = tmp_path / "snapshots" / "main" / file.relative_to(blobs.root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    import_dataset(tmp_path / "snapshots" / "main", tmp_path / "imported")
    assert not any(file.is_symlink() for file in (tmp_path / "imported").rglob("*"))
    assert contents(tmp_path / "imported") == contents(blobs.root)


def test_files_are_copied_where_they_cannot_be_linked(make_shards, monkeypatch, tmp_path):
    """Two file systems are not to be had in a test: os.link is made to fail as it does between them."""
    import errno
    import os

    def across_devices(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    source = make_shards("source")
    monkeypatch.setattr(os, "link", across_devices)
    import_dataset(source.root, tmp_path / "imported")
    assert contents(tmp_path / "imported") == contents(source.root)


def test_an_incomplete_dataset_is_not_imported(make_shards, tmp_path):
    source = make_shards("source")
    (source.root / "meta" / "tasks.parquet").unlink()
    with pytest.raises(EpisodesError, match=r"tasks\.parquet"):
        import_dataset(source.root, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()
