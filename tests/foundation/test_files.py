import os

from leagents_kedro.foundation.files import FileState, statuses


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
