import json
from pathlib import Path

import pytest

from leagents_kedro.loop.configuration import ConfigLoader
from support.projects import copy_project, run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copy_project(tmp_path / "project")
    (folder / "conf/tiny").mkdir()
    return folder


def written(project: Path, env: str | None) -> list[str]:
    """All places that a command in this environment reads or writes, but for what people write in ``conf/``."""
    loader = ConfigLoader(project / "conf", env=env, base_env="base", default_run_env="local")
    places = [entry["filepath"] for name, entry in loader["catalog"].items() if name != "constitution"]
    return [*places, loader["parameters"]["loop"]["stop_file"]]


@pytest.mark.parametrize(
    ("env", "overlay", "roots"),
    [
        (None, "", ("data", "knowledge")),
        ("local", "", ("data", "knowledge")),
        ("base", "", ("data", "knowledge")),
        ("tiny", "", ("data/tiny", "knowledge/tiny")),
        ("tiny", "data: /srv/tiny", ("/srv/tiny", "knowledge/tiny")),
        ("tiny", "{data: data, knowledge: knowledge}", ("data", "knowledge")),
    ],
)
def test_an_environment_has_folders_of_its_own(project, env, overlay, roots):
    (project / "conf/tiny/globals.yml").write_text(overlay)
    places = written(project, env)
    assert all(place.startswith(tuple(f"{root}/" for root in roots)) for place in places)


def test_an_environment_has_a_ledger_of_its_own(project):
    opened = {"event": "opened", "cycle": 1, "run_id": "r", "pins": {}, "params": {}, "code": None, "at": "t"}
    (project / "data/tiny").mkdir(parents=True)
    (project / "data/tiny/ledger.jsonl").write_text(f"{json.dumps(opened)}\n")
    assert "has not run yet" in run(project, "loop", "status").output
    [shown] = json.loads(run(project, "loop", "status", "--env=tiny", "--json").output)
    assert shown["state"] == "open"


def test_each_ledger_has_its_own_locks(project):
    (project / "conf/tiny/parameters.yml").write_text("evaluation: {workers: 1, episode_timeout_s: null}")
    (project / "data/tiny").mkdir(parents=True)
    (project / "data/tiny/STOP").touch()
    ended = run(project, "run", "--env=tiny")
    assert f"delete {project}/data/tiny/STOP" in ended.output.replace("\n", "")
    assert {path.name for path in (project / "data").iterdir()} == {"tiny"}
    assert {path.name for path in (project / "data/tiny").glob(".*")} == {".ledger.jsonl.lock", ".running.lock"}
