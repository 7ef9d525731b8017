import pytest

from leagents_kedro.foundation.untrusted import stand_in

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 146946961\n"


@pytest.mark.parametrize(
    ("name", "content", "way"),
    [
        ("model.safetensors", POINTER, "git lfs pull"),
        ("file-000.parquet", b"<!DOCTYPE html>\n<html>", "download the file itself"),
        ("file-000.mp4", b"", "copy it again"),
        ("info.json", b"\xef\xbb\xbf{}", "save it as UTF-8 without one"),
        ("info.json", "{}".encode("utf-16"), "save it as UTF-8 without one"),
    ],
)
def test_what_lies_in_the_place_of_a_file_tells_how_to_get_it(tmp_path, name, content, way):
    (tmp_path / name).write_bytes(content)
    assert way in stand_in(tmp_path / name)


def test_of_other_files_nothing_is_told(tmp_path):
    (tmp_path / "info.json").write_text("{")
    assert stand_in(tmp_path / "info.json") is None
    assert stand_in(tmp_path / "nowhere") is None
