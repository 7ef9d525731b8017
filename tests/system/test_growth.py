"""The work of a cycle does not grow with the cycles before it."""

import sys

import pytest

from benchmarks.history import lengthen
from support.projects import copy_project, forked, kedro, run
from torture.points import PARAMETERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LOOKS = ("open", "os.listdir", "os.scandir")
PAST = 300


def looks(project, cycles):
    """Return how often a command opens or lists a file or folder until the project has as many ``cycles``."""

    def counted():
        count = 0

        def note(event, arguments):
            nonlocal count
            count += event in LOOKS

        sys.addaudithook(note)
        try:
            kedro("run", "--pipelines=cycle", f"--params=loop.max_cycles={cycles}")()
        except SystemExit as end:
            (project / "looks").write_text(str(count))
            raise SystemExit(end.code) from end

    ended = forked(counted, project)
    assert ended.code == 0, ended.output[-3000:]
    return int((project / "looks").read_text())


def test_hundreds_of_closed_cycles_add_no_look_at_the_disk_to_another(tmp_path):
    project = copy_project(tmp_path / "project", PARAMETERS)
    assert run(project, "run", "--pipelines=cycle").code == 0
    few = looks(project, 5) - looks(project, 6)  # two cycles more than one, and no start
    lengthen(project, PAST)
    many = looks(project, 9 + PAST) - looks(project, 10 + PAST)
    assert few > 100
    assert many < few + PAST / 3
