import json
import shutil
from pathlib import Path

import pytest
from kedro.framework.context import KedroContext
from pluggy import PluginManager

from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.errors import ParameterError
from leagents_kedro.loop.configuration import ConfigLoader
from leagents_kedro.loop.request import ParameterHooks
from leagents_kedro.settings import CONFIG_LOADER_ARGS
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


def loader(source: Path, **params: object) -> ConfigLoader:
    """Return the configuration as a command with these parameters gets it."""
    made = ConfigLoader(source, None, params, **CONFIG_LOADER_ARGS)
    context = KedroContext(
        source.parent, made, env=None, package_name="leagents_kedro", hook_manager=PluginManager("kedro")
    )
    ParameterHooks().after_context_created(context)
    return made


@pytest.fixture
def another(project: Path) -> Path:
    """A configuration beside the project's own, under which one training step is the limit."""
    source = Path(shutil.copytree(project / "conf", project / "elsewhere" / "conf"))
    limits = source / "base" / "constitution.yml"
    limits.write_text(limits.read_text().replace("max_training_steps: 200000", "max_training_steps: 1"))
    return source


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "gztar", "content"])
def test_a_configuration_brings_its_constitution_whatever_its_form(project, another, form):
    if form == "content":  # without a folder around it
        another = Path(shutil.make_archive(str(project / "packed"), "gztar", another))
        another = another.rename(another.with_name("packed.tgz"))
    elif form != "folder":
        another = Path(shutil.make_archive(str(project / "packed"), form, another.parent, "conf"))
    made = loader(another)
    assert ConstitutionDataset(made["catalog"]["constitution"]["filepath"]).load().max_training_steps == 1
    ours = loader(project / "conf")
    assert ours["catalog"]["constitution"]["filepath"] == str(project / "conf" / "base" / "constitution.yml")


def test_the_folders_above_may_have_any_name(tmp_path):
    (tmp_path / "[lab] * 1").mkdir()
    project = copy_project(tmp_path / "[lab] * 1" / "project")
    made = loader(project / "conf")
    assert "suite" in made["parameters"]
    assert ConstitutionDataset(made["catalog"]["constitution"]["filepath"]).load().max_episodes > 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("conf.zip", b"no archive", "conf.zip: expected a configuration as a zip or tar archive"),
        ("conf.tar.gz", b"no archive", "conf.tar.gz: expected a configuration as a zip or tar archive"),
        ("conf.yml", b"a: 1", "conf.yml: expected a configuration as a zip or tar archive"),
        ("empty/file", b"", "empty: expected a folder, .* in base/, as conf/ is, got none there"),
        (None, b"", "nowhere: expected a folder, .* got no such path"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path, name, content, message):
    path = tmp_path / (name or "nowhere")
    if name:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        loader(path.parent if name == "empty/file" else path)


def local(project: Path, text: str) -> Path:
    (project / "conf" / "local" / "parameters.yml").write_text(text)
    return project / "conf"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("training: {seed: 1} # für".encode("latin-1"), "local/parameters.yml: expected text in UTF-8"),
        ("training: {seed: 1}".encode("utf-16"), "local/parameters.yml: expected text in UTF-8"),
        (b"- seed", "conf: a parameters file holds a list, expected keys and values"),
        (None, "local/parameters.yml: this link leads to gone, which is not there"),
    ],
)
def test_a_file_that_kedro_could_not_read_or_would_leave_out_is_named(project, content, message):
    file = project / "conf" / "local" / "parameters.yml"
    if content is None:
        file.unlink()
        file.symlink_to("gone")
    else:
        file.write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        loader(project / "conf")


def test_a_key_in_two_files_is_named(project):
    conf = local(project, "training: {seed: 1}")
    shutil.copy(conf / "local" / "parameters.yml", conf / "local" / "parameters copy.yml")
    with pytest.raises(ParameterError, match=r"Duplicate keys found in .*: training.seed. An environment names each"):
        loader(conf)


def test_a_stage_that_a_file_misspells_is_told(project, caplog):
    loader(local(project, "{trainng: {seed: 1}, my_own: 2}"))
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "no stage reads 'trainng'; did you mean 'training'?"
    ]


def test_there_need_be_no_personal_configuration(project):
    shutil.rmtree(project / "conf" / "local")
    assert loader(project / "conf")["parameters"]["training"]["seed"] == 0


def test_a_file_may_ask_the_command_and_the_environment(project, monkeypatch):
    monkeypatch.setenv("STEPS", "7")
    asks = "{harvest: {attempts_per_task: '${runtime_params:attempts, 3}'}, training: {batch_size: '${oc.env:STEPS}'}}"
    conf = local(project, asks)
    assert loader(conf)["parameters"]["harvest"]["attempts_per_task"] == 3
    asked = loader(conf, attempts=5)["parameters"]
    assert (asked["harvest"]["attempts_per_task"], asked["training"]["batch_size"]) == (5, "7")
    with pytest.raises(ParameterError, match="There is no parameter 'attempt'"):
        loader(conf, attempt=5)


def test_a_revision_is_text_although_yaml_reads_a_number(project):
    conf = local(project, "demonstrations: {revision: 12e4567, folder: 007, repo_id: '1'}\ntraining: {seed: 7}\n")
    made = loader(conf)["parameters"]
    assert [made["demonstrations"][key] for key in ("revision", "folder", "repo_id")] == ["12e4567", "007", "1"]
    assert made["training"]["seed"] == 7


def test_a_command_changes_one_rung_of_the_ladder(project):
    before = loader(project / "conf")["parameters"]["training"]["ladder"]
    after = loader(project / "conf", training={"ladder": {"0": {"steps": 5}}})["parameters"]["training"]["ladder"]
    assert after == [before[0] | {"steps": 5}, *before[1:]]
