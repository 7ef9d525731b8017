import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog
from kedro.io import DatasetError as KedroDatasetError
from kedro.io.core import Version

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.errors import CheckpointError
from leagents_kedro.foundation.files import link_tree

V1, V2 = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"


class Folder(PublishedDataset[dict[str, str] | None, dict[str, str]]):
    """A folder of text files; ``None`` is an empty one."""

    def _read(self, path: Path) -> dict[str, str]:
        return {file.name: file.read_text() for file in sorted(path.iterdir())}

    def _write(self, data: dict[str, str] | None, path: Path) -> None:
        path.mkdir()
        for name, text in (data or {}).items():
            (path / name).write_text(text)
            if text == "incomplete":
                raise CheckpointError("made up")
            if text == "unreadable":
                raise OSError("disk full")


def folder(path: Path, load: str | None = None, save: str | None = V1, **kwargs: Any) -> Folder:
    return Folder(filepath=str(path / "entry"), version=Version(load, save), **kwargs)


def test_what_is_saved_is_loaded_from_the_place_kedro_expects(tmp_path):
    folder(tmp_path).save({"a": "1", "b": "2"})
    assert folder(tmp_path).load() == {"a": "1", "b": "2"}
    assert (tmp_path / "entry" / V1 / "entry" / "a").is_file()
    assert [path.name for path in (tmp_path / "entry" / V1).iterdir()] == ["entry"]


def test_versions_without_a_flag_in_yaml(tmp_path):
    config = {"entry": {"type": Folder, "filepath": str(tmp_path / "entry")}}
    for number, version in ((1, V1), (2, V2)):
        DataCatalog.from_config(config, save_version=version).save("entry", {"number": str(number)})
    catalog = DataCatalog.from_config(config)
    assert catalog.load("entry") == {"number": "2"}
    assert catalog.load("entry", version=V1) == {"number": "1"}
    assert catalog["entry"].list_versions(full_path=False) == [V2, V1]


def test_a_version_is_never_changed(tmp_path):
    folder(tmp_path).save({"a": "1"})
    with pytest.raises(KedroDatasetError, match="must not exist"):
        folder(tmp_path).save({"a": "2"})
    assert folder(tmp_path).load() == {"a": "1"}


def test_a_missing_version_loads_as_none_only_where_that_is_fine(tmp_path):
    assert folder(tmp_path, load="none", optional=True).load() is None
    assert folder(tmp_path, optional=True).load() is None
    with pytest.raises(KedroDatasetError, match=r"wanted: any.*optional: true"):
        folder(tmp_path).load()
    with pytest.raises(KedroDatasetError, match="wanted: none"):
        folder(tmp_path, load="none").load()


def test_none_can_be_saved(tmp_path):
    DataCatalog({"entry": folder(tmp_path)}).save("entry", None)
    assert folder(tmp_path).load() == {}


def test_named_errors_keep_their_names_and_others_name_the_dataset(tmp_path):
    with pytest.raises(CheckpointError, match="made up"):
        folder(tmp_path).save({"a": "incomplete"})
    with pytest.raises(KedroDatasetError, match=r"saving data to dataset .*entry.*\n.*disk full"):
        folder(tmp_path).save({"a": "unreadable"})
    assert not folder(tmp_path).exists()


def test_the_rest_of_a_failed_save_is_cleared_by_the_next(tmp_path):
    with pytest.raises(CheckpointError):
        folder(tmp_path).save({"left over": "incomplete"})
    folder(tmp_path).save({"a": "1"})
    assert folder(tmp_path).load() == {"a": "1"}
    assert list(tmp_path.rglob(".staging-*")) == []


def test_what_people_put_beside_versions_is_no_version_and_stays(tmp_path):
    folder(tmp_path).save({"a": "1"})
    beside = [tmp_path / "entry" / name for name in ("backup/entry", "notes", "9 last week/entry")]
    for place in beside:
        place.mkdir(parents=True)
    (tmp_path / "entry" / "README.md").touch()
    latest = folder(tmp_path)
    latest.discard_strays(closed=[])
    assert latest.load() == {"a": "1"}
    assert latest.list_versions(full_path=False) == [V1]
    assert all(place.is_dir() for place in beside)


def test_of_a_retired_version_only_a_notice_is_left_and_no_version_is_listed_in_vain(tmp_path):
    for version in (V1, V2):
        folder(tmp_path, save=version).save({"a": "1"})
    dataset = folder(tmp_path)
    dataset.retire(V2, "let go")
    assert dataset.load() == {"a": "1"}
    assert sorted(path.name for path in (tmp_path / "entry").iterdir()) == [".retired", V1]
    with pytest.raises(KedroDatasetError, match=f"Version {V2} of .* is gone: let go"):
        folder(tmp_path, load=V2).load()


def test_strays_are_looked_for_only_where_a_kill_may_have_left_them(tmp_path):
    dataset, stray = folder(tmp_path), f"entry/{V1}/.staging-entry"
    (tmp_path / stray).mkdir(parents=True)
    dataset.discard_strays(closed=[V1])
    assert (tmp_path / stray).exists()
    dataset.discard_strays(closed=[])
    assert not (tmp_path / "entry" / V1).exists()
    (tmp_path / "entry" / V1).mkdir(parents=True)
    (tmp_path / "entry" / ".retired").mkdir()
    (tmp_path / "entry" / ".retired" / V1).touch()
    dataset.discard_strays(closed=[V1])
    assert not (tmp_path / "entry" / V1).exists()


def test_the_folders_above_may_have_any_name(tmp_path):
    folder(tmp_path / "[1] * ?").save({"a": "1"})
    assert folder(tmp_path / "[1] * ?").load() == {"a": "1"}


def test_the_constructor_arguments_are_told_to_kedro(tmp_path):
    config, *_ = DataCatalog({"entry": folder(tmp_path, optional=True)}).to_config()
    assert config["entry"]["optional"] is True
    assert config["entry"]["versioned"] is True


def killed_while_saving(dataset: Folder, at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Save in a child that is killed before its ``at``-th system call of those that a save consists of."""
    calls = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    child = os.fork()
    if child == 0:
        for holder, name in ((os, "fsync"), (Path, "rename"), (Path, "mkdir"), (Path, "write_text")):
            monkeypatch.setattr(holder, name, counted(getattr(holder, name)))
        dataset.save({"a": "1", "b": "2"})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def test_after_a_kill_what_exists_is_complete_and_what_does_not_can_be_saved(tmp_path, monkeypatch):
    at, published = 0, []
    while killed_while_saving(folder(tmp_path / str(at := at + 1)), at, monkeypatch):
        dataset = folder(tmp_path / str(at))
        published.append(dataset.exists())
        if not dataset.exists():
            dataset.save({"a": "1", "b": "2"})
        assert folder(tmp_path / str(at)).load() == {"a": "1", "b": "2"}
    assert published == sorted(published)
    assert {*published} == {False, True}


def test_everything_is_on_the_disk_before_the_version_appears(tmp_path, monkeypatch):
    synced, fsync, rename = [], os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        synced.append("RENAME")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    folder(tmp_path).save({"a": "1", "b": "2"})
    before, after = synced[: synced.index("RENAME")], synced[synced.index("RENAME") + 1 :]
    assert set(before) >= {"a", "b", ".staging-entry"}
    assert set(after) == {V1, "entry", tmp_path.name}


def test_linked_trees_share_their_files(tmp_path):
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "weights").write_text("1")
    (source / "link").symlink_to(source / "inner" / "weights")
    (source / "note").write_text("mine")
    link_tree(source, tmp_path / "target", leave_out=("note",))
    linked = [path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*")]
    assert sorted(linked) == ["inner", "inner/weights", "link"]
    assert (tmp_path / "target/inner/weights").samefile(source / "inner/weights")
    assert (tmp_path / "target/link").samefile(source / "inner/weights")
    assert not (tmp_path / "target/link").is_symlink()
