"""An installed package runs beside a folder with configuration: no project is needed."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from leagents_kedro.__main__ import main
from support.parameters import ROOT
from support.projects import Ended, copy_project, forked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = copy_project(tmp_path / "somewhere")
    (project / "pyproject.toml").unlink()
    (project / "src").rmdir()
    (project / "data").mkdir()
    (project / "data/STOP").touch()
    return project


def packaged(folder: Path, *arguments: str) -> Ended:
    def command() -> None:
        sys.argv = ["leagents-kedro", *arguments]
        main()

    return forked(command, folder)


def test_a_package_drives_the_loop(folder):
    ended = packaged(folder, "--pipelines=cycle")
    assert ended.code == 0
    assert f"delete {folder}/data/STOP" in ended.output.replace("\n", "")


def test_a_package_names_what_is_wrong(folder):
    ended = packaged(folder, "--params=loop.max_cycles=0")
    assert ended.code == 1
    assert ended.output.startswith("Error: loop.max_cycles")


def test_a_package_asks_its_loop(folder):
    assert "has not run yet" in packaged(folder, "loop", "status").output


@pytest.mark.slow
def test_the_wheel_has_all_that_runs(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "constraints.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = "import setuptools.build_meta as build; print(build.build_wheel('.'))"
    built = subprocess.run([sys.executable, "-c", command], cwd=source, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(source / built.stdout.split()[-1]) as wheel:
        names = set(wheel.namelist())
        scripts = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {str(file.relative_to(source / "src")) for file in (source / "src").rglob("*.py")} <= names
    assert re.search(r"^leagents-kedro = leagents_kedro.__main__:main$", scripts, flags=re.M)
