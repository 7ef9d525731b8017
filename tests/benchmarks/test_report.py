import json
import math

import pytest

from benchmarks.__main__ import main
from benchmarks.report import Report, with_table
from benchmarks.sections import SECTIONS, Section
from benchmarks.table import Row, alternated

SECTION = """
from benchmarks.table import Row

def kept(quick):
    return [Row("append", "quick" if quick else "full", "1 s", "8 s", 8.0, ">=", 5.0)]

def missed(quick):
    return [Row("loader", "64 frames", "2 s", "8 s", 4.0, ">=", 5.0)]

def broken(quick):
    raise OSError("no space left")
"""


@pytest.fixture
def _tiny_sections(tmp_path, monkeypatch):
    (tmp_path / "tiny_sections.py").write_text(SECTION)
    monkeypatch.syspath_prepend(tmp_path)
    for name in list(SECTIONS):
        monkeypatch.delitem(SECTIONS, name)
    for name in ("kept", "missed", "broken"):
        monkeypatch.setitem(SECTIONS, name, Section("tiny_sections", name, 1, 1))


@pytest.mark.parametrize(
    ("ratio", "sense", "limit", "holds"),
    [
        (5.0, ">=", 5.0, True),
        (4.9, ">=", 5.0, False),
        (1.0, "<=", 1.0, True),
        (1.1, "<=", 1.0, False),
        (math.nan, ">=", 5.0, False),
        (0.1, ">=", None, True),
    ],
)
def test_a_row_holds_where_its_limit_is_kept_or_none_is_set(ratio, sense, limit, holds):
    assert Row("step", "measured", "1 s", "5 s", ratio, sense, limit).holds is holds


def test_ways_are_measured_in_turns():
    calls = []
    medians = alternated([lambda: calls.append("ours"), lambda: calls.append("theirs")], repeats=3)
    assert calls == ["ours", "theirs"] * 3
    assert len(medians) == 2


@pytest.mark.usefixtures("_tiny_sections")
def test_limits_that_are_kept_end_with_zero_and_one_line(tmp_path, capsys):
    assert main(["--only", "kept", "--quick", "--json", str(tmp_path / "rows.json")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 limits are kept"
    written = json.loads((tmp_path / "rows.json").read_text())
    assert written["rows"][0]["measured"] == "quick"
    assert written["rows"][0]["holds"]


@pytest.mark.usefixtures("_tiny_sections")
def test_a_missed_limit_and_a_failed_section_end_with_one_and_do_not_hide_the_others(tmp_path, capsys):
    document = tmp_path / "performance.md"
    document.write_text("# Title\n<!-- benchmarks: begin -->\nold\n<!-- benchmarks: end -->\nrest\n")
    assert main(["--markdown", str(document)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 of 2 limits are kept; missed: loader, broken (failed)"
    text = document.read_text()
    assert text.startswith("# Title\n")
    assert text.endswith("<!-- benchmarks: end -->\nrest\n")
    assert "old" not in text
    assert "| append | full | 1 s | 8 s | 8 | >= 5 | kept |" in text
    assert "Not measured: broken." in text


def test_a_failed_section_alone_is_missed():
    assert Report(True, {}, {"cycle": "OSError: no space left"}).missed == ["cycle (failed)"]


def test_a_ratio_that_is_none_is_null_for_programs():
    row = Row("cycle", "", "1 s", "2 s", math.nan, ">=", 5.0)
    assert json.loads(Report(True, {"cycle": [row]}, {}).json())["rows"][0]["ratio"] is None


def test_a_document_without_marks_is_the_table():
    assert with_table("anything", "| table |") == "| table |\n"
