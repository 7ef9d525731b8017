import errno
import fcntl
import os
import re

import pytest

from leagents_kedro.errors import StorageError
from leagents_kedro.foundation.files import (
    FileState,
    ensure_folder,
    link_file,
    lock,
    staged,
    statuses,
    write_atomically,
)


def test_the_state_of_a_file_is_that_of_its_links_until_it_is_written(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"before")
    os.link(file, link)
    before = FileState.of(file)
    assert FileState.of(link) == before
    assert hash(FileState.of(link)) == hash(before)
    os.utime(file, ns=(0, 0))
    assert FileState.of(file) != before
    assert FileState.of(link) == FileState.of(file)
    other = tmp_path / "other"
    other.write_bytes(b"before")
    os.utime(other, ns=(0, 0))
    assert FileState.of(other) != FileState.of(file)


def test_the_status_of_a_link_is_its_own_wherever_it_leads(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"12345")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(status.st_size for status in statuses(tmp_path)) == [4, 5]
    assert not list(statuses(tmp_path / "missing"))


def failing(number):
    def call(*_):
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("name", ["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EACCES", "EINVAL"])
def test_where_a_file_system_cannot_link_a_file_is_copied(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr(os, "link", failing(getattr(errno, name)))
    link_file(tmp_path / "file", tmp_path / "folder" / "copy")
    assert (tmp_path / "folder" / "copy").read_bytes() == b"12345"


@pytest.mark.parametrize("name", ["ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setattr(fcntl, "flock", failing(getattr(errno, name)))
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(StorageError, match=rf"{re.escape(file.name)}: its file system has no locks \("),
    ):
        lock(file, fcntl.LOCK_EX)


def test_where_a_file_system_cannot_sync_a_file_is_written_nevertheless(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    write_atomically(tmp_path / "file", b"12345")
    assert (tmp_path / "file").read_bytes() == b"12345"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_others_may_read_what_the_umask_lets_them(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with staged(tmp_path / "version") as staging:
            staging.mkdir()
            (staging / "weights").touch(0o600)  # as safetensors makes them
            (staging / "script").touch(0o700)
    finally:
        os.umask(before)
    assert (tmp_path / "version" / "weights").stat().st_mode & 0o777 == mode
    assert (tmp_path / "version" / "script").stat().st_mode & 0o777 == mode | 0o100


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "data").touch()
    for folder in (tmp_path / "data", tmp_path / "data" / "06_models"):
        with pytest.raises(StorageError, match=rf"{tmp_path}/data: expected a folder, got a file"):
            ensure_folder(folder)


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "data").symlink_to("away")
    with pytest.raises(StorageError, match=rf"{tmp_path}/data: this link leads to away, which is not there"):
        ensure_folder(tmp_path / "data" / "06_models")
