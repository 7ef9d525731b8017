import dataclasses

import numpy as np
import pytest
from kedro.io.core import DatasetError as KedroDatasetError
from kedro.io.core import Version

from leagents_kedro.datasets.lerobot_shards import LeRobotShards
from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.episodes.shards import Appended, Imported, NewEpisodes, Shards
from leagents_kedro.errors import EpisodesError
from support.datasets import numbers, random_episode

FEATURES = numbers(observation__state=2, action=2)


def new_episodes(seed: int, sentences: tuple[str, ...]) -> NewEpisodes:
    rng = np.random.default_rng(seed)
    episodes = tuple(random_episode(rng, FEATURES, sentence, 3) for sentence in sentences)
    return NewEpisodes(episodes, FEATURES, 10, "sim")


def contents(shards: Shards) -> dict[str, bytes]:
    return {str(file.relative_to(shards.root)): file.read_bytes() for file in shards.root.rglob("*") if file.is_file()}


@pytest.fixture
def mix(tmp_path):
    def of_version(version: str, optional: bool = False) -> LeRobotShards:
        return LeRobotShards(str(tmp_path / "mix"), Version(version, version), optional=optional)

    return of_version


def test_new_episodes_are_saved_and_appended_to(mix, tmp_path):
    mix("1").save(new_episodes(1, ("reach", "push")))
    first = mix("1").load()
    rollouts = LeRobotShards(str(tmp_path / "rollouts"), Version("1", "1"))
    rollouts.save(new_episodes(2, ("push",)))
    mix("2").save(Appended(first, (rollouts.load(),)))
    second = mix("2").load()
    assert check_dataset(second.root).total_episodes == 3
    assert second.tasks == ("reach", "push")
    assert len(opened(second)) == 9
    assert first.data_files[0].samefile(second.data_files[0])


def test_a_dataset_is_taken_over_as_it_is(mix, tmp_path):
    mix("1").save(new_episodes(1, ("reach",)))
    mix("2").save(mix("1").load())
    assert mix("2").load().data_files[0].samefile(mix("1").load().data_files[0])


def test_a_dataset_from_elsewhere_is_copied_since_its_owner_may_edit_it(mix, tmp_path):
    elsewhere = LeRobotShards(str(tmp_path / "elsewhere"), Version("1", "1"))
    elsewhere.save(new_episodes(1, ("reach",)))
    mix("1").save(elsewhere.load())
    assert not mix("1").load().data_files[0].samefile(elsewhere.load().data_files[0])
    assert mix("1").load().data_files[0].read_bytes() == elsewhere.load().data_files[0].read_bytes()
    assert not (mix("1").load().root / "meta" / "leagents").exists(), "an owner who edits it does not keep that up"


def test_a_dataset_of_others_is_taken_over_with_the_features_that_are_asked_for(mix, tmp_path):
    elsewhere = LeRobotShards(str(tmp_path / "elsewhere"), Version("1", "1"))
    elsewhere.save(new_episodes(1, ("reach",)))
    source = elsewhere.load()
    fewer = {key: feature for key, feature in source.features.items() if key != "observation.state"}
    mix("1").save(Imported(source, fewer))
    assert mix("1").load().features == fewer
    assert len(opened(mix("1").load())) == source.total_frames


@pytest.mark.parametrize("nothing", [None, new_episodes(0, ())], ids=["none", "no episodes"])
def test_no_episodes_are_a_version_too(mix, nothing):
    mix("1").save(nothing)
    assert mix("1").exists()
    assert mix("1").load() is None
    assert mix("1").preview()["data"] == [["episodes", 0]]


def test_a_missing_version_is_none_only_where_it_is_optional(mix):
    assert mix("1", optional=True).load() is None
    with pytest.raises(KedroDatasetError, match="wanted: 1"):
        mix("1").load()


def test_a_save_that_fails_leaves_no_version(mix, tmp_path):
    mix("1").save(new_episodes(1, ("reach",)))
    slower = dataclasses.replace(new_episodes(2, ("reach",)), fps=5)
    LeRobotShards(str(tmp_path / "slower"), Version("1", "1")).save(slower)
    with pytest.raises(EpisodesError, match="fps should be 10, got 5"):
        mix("2").save(Appended(mix("1").load(), (Shards(tmp_path / "slower" / "1" / "slower"),)))
    assert not mix("2").exists()


def test_a_step_that_is_repeated_writes_the_same_version(mix, tmp_path):
    """As `kedro run --from-nodes=merge_rollouts` does by hand: its episodes are in the newest mix already."""
    mix("1").save(new_episodes(1, ("reach",)))
    rollouts = LeRobotShards(str(tmp_path / "rollouts"), Version("1", "1"))
    rollouts.save(new_episodes(2, ("push",)))
    mix("2").save(Appended(mix("1").load(), (rollouts.load(),)))
    mix("3").save(Appended(mix("2").load(), (rollouts.load(),)))
    assert contents(mix("3").load()) == contents(mix("2").load())


def test_the_same_appends_write_the_same_bytes(mix, tmp_path):
    """So that a loop that was killed and resumed ends with the datasets of an undisturbed one."""
    for name in ("undisturbed", "resumed"):
        previous = None
        for version in "123":
            place = LeRobotShards(str(tmp_path / name), Version(version, version))
            rollouts = LeRobotShards(str(tmp_path / f"{name}_rollouts"), Version(version, version))
            rollouts.save(new_episodes(int(version), ("push", "reach")))
            place.save(
                Appended(previous, (rollouts.load(),), compacted=version == "3") if previous else rollouts.load()
            )
            previous = place.load()
    first, second = (Shards(tmp_path / name / "3" / name) for name in ("undisturbed", "resumed"))
    assert contents(first) == contents(second)
    assert len(first.data_files) == 1


def test_a_compaction_leaves_the_version_that_it_starts_from_as_it_was(mix, tmp_path):
    mix("1").save(new_episodes(1, ("reach",)))
    rollouts = LeRobotShards(str(tmp_path / "rollouts"), Version("1", "1"))
    rollouts.save(new_episodes(2, ("push",)))
    mix("2").save(Appended(mix("1").load(), (rollouts.load(),)))
    before = contents(mix("2").load())
    mix("3").save(Appended(mix("2").load(), (), compacted=True))
    assert contents(mix("2").load()) == before
    assert len(mix("2").load().data_files) == 2
    assert len(mix("3").load().data_files) == 1
    assert check_dataset(mix("3").load().root).total_episodes == 2


def test_kedro_viz_shows_episodes_by_task(mix):
    mix("1").save(new_episodes(1, ("reach", "push", "reach")))
    preview = mix("1").preview()
    assert preview["columns"] == ["dataset", "value"]
    assert preview["data"] == [
        ["episodes", 3],
        ["frames", 9],
        ["frames a second", 10],
        ["episodes: reach", 2],
        ["episodes: push", 1],
    ]
    assert LeRobotShards.preview.__annotations__["return"].__name__ == "TablePreview"
