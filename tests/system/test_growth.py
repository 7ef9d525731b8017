"""The work of a cycle does not grow with the cycles before it."""

import subprocess
import sys

import pytest

from benchmarks.history import lengthen
from support.projects import copy_project, run
from torture.points import PARAMETERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PAST = 300
COUNTED = """
import sys
from kedro.framework.cli.cli import main

looks = []
sys.addaudithook(lambda event, _: looks.append(1) if event in {"open", "os.listdir", "os.scandir"} else None)
sys.argv = ["kedro", *sys.argv[1:]]
try:
    main()
finally:
    print("looks", len(looks))
"""


def looks(project, cycles):
    """Return how often a command opens or lists a file or folder until the project has as many ``cycles``."""
    command = [sys.executable, "-c", COUNTED, "run", "--pipelines=cycle", f"--params=loop.max_cycles={cycles}"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return int(ended.stdout.rpartition("looks ")[2])


def test_hundreds_of_closed_cycles_add_no_look_at_the_disk_to_another(tmp_path):
    project = copy_project(tmp_path / "project", PARAMETERS)
    assert run(project, "run", "--pipelines=cycle").code == 0
    few = looks(project, 5) - looks(project, 6)  # two cycles more than one, and no start
    lengthen(project, PAST)
    many = looks(project, 9 + PAST) - looks(project, 10 + PAST)
    assert few > 100
    assert many < few + PAST / 3
