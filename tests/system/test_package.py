"""An installed package runs beside a folder with configuration: no project is needed."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from leagents_kedro.__main__ import main
from support.parameters import ROOT
from support.projects import Ended, copy_project, forked

TINY = (
    "suite.tasks=[reach-v3],suite.options.episode_length=60,demonstrations.amplify=null,demonstrations.initial_per_task=2,training.ladder[0].steps=6,"
    "training.save_every_steps=3,gating.look_every=2,gating.max_pairs=4,gating.floor=0.9"
)


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


def test_a_package_takes_the_words_of_kedro(folder):
    ended = packaged(folder, "run", "--params=loop.max_cycles=0")
    assert ended.output.startswith("Error: loop.max_cycles")
    assert "supplement" in packaged(folder, "registry", "list").output


def test_a_folder_without_configuration_is_told_what_to_copy(folder):
    shutil.rmtree(folder / "conf")
    assert f"{folder}/conf: expected a folder" in packaged(folder, "run").output
    assert "Copy conf/ of the project there" in packaged(folder, "run").output


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [", "expected the node content"),
        pytest.param("", "NoneType", marks=pytest.mark.slow),
        pytest.param("version: 2", "Unsupported version: 2", marks=pytest.mark.slow),
    ],
)
def test_a_package_names_the_configuration_of_logging_that_is_damaged(folder, content, reason):
    """Kedro reads it when it is imported, so that its own command has a traceback."""
    (folder / "conf" / "logging.yml").write_text(content)
    program = [sys.executable, "-m", "leagents_kedro", "loop", "status"]
    ended = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: conf/logging.yml: expected Python's logging configuration, got")
    assert reason in ended.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "constraints.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = "import setuptools.build_meta as build; print(build.build_wheel('.'))"
    built = subprocess.run([sys.executable, "-c", command], cwd=source, capture_output=True, text=True, check=True)
    return source / built.stdout.split()[-1]


@pytest.mark.slow
def test_the_wheel_has_all_that_runs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        scripts = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src/leagents_kedro").rglob("*.py")} <= names
    assert re.search(r"^leagents-kedro = leagents_kedro.__main__:main$", scripts, flags=re.M)


@pytest.mark.slow
def test_the_installed_wheel_runs_a_cycle_beside_an_archive_of_conf(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False)
    [packages] = tmp_path.glob("venv/lib/*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "place").mkdir()
    shutil.make_archive(str(tmp_path / "place/conf-leagents_kedro"), "gztar", ROOT, "conf")
    program = [tmp_path / "venv/bin/python", "-m", "leagents_kedro"]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"DO_NOT_TRACK": "1"}

    def printed(*arguments: str) -> str:
        command = [*program, *arguments, "--conf-source=conf-leagents_kedro.tar.gz"]
        ended = subprocess.run(
            command, cwd=tmp_path / "place", env=environ, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert "WARN" not in ended.stderr
        return ended.stdout

    params = f"--params=loop.max_cycles=1,{TINY}"
    assert "No further cycle" in printed("run", "--pipelines=cycle", params)
    assert "iterate" in printed("loop", "status")
    assert "iterate" in printed("loop", "replay")
