import os

from leagents_kedro.foundation.files import FileState


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
