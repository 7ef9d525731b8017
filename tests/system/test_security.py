"""What others wrote runs no code and leads nowhere outside of its folder; docs/security.md says who is trusted."""

import ast
import json
import logging
import shutil
import string
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog, Version
from kedro.io import DatasetError as KedroDatasetError
from pydantic import BaseModel

from leagents_kedro.constitution.commands import training_command
from leagents_kedro.constitution.limits import violations
from leagents_kedro.datasets.checkpoint import CheckpointDataset
from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.datasets.page import PageDataset
from leagents_kedro.datasets.record import RecordDataset
from leagents_kedro.datasets.workspace import WorkspaceDataset
from leagents_kedro.episodes import writing
from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError, EpisodesError, LeAgentsError, ParameterError
from leagents_kedro.foundation.redaction import RedactedRecord, redacted_errors
from leagents_kedro.foundation.untrusted import REMOTE_CODE_POLICIES
from leagents_kedro.history.history import History
from leagents_kedro.loop.events import EventHooks
from leagents_kedro.loop.retention import discard_abandoned
from leagents_kedro.parameters.training import Rung, TrainingSettings
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.policies.training import policy_config
from leagents_kedro.records import Lessons
from leagents_kedro.simulation.metaworld.tasks import tasks_named
from support.datasets import numbers, write_random
from support.parameters import ROOT, base_parameters

FRAGMENTS = ["..", ".", "", "x", "/", "\\", "~", "\0", "etc", "%2e%2e", "{0.__class__}", "{chunk_index}", "*", "mix"]
NAMES = st.one_of(st.text(max_size=20), st.lists(st.sampled_from(FRAGMENTS), max_size=5).map("/".join))
FUZZED = settings(max_examples=60, deadline=None)


class Surroundings:
    """A folder with a canary beside and above the data root: nothing there may change."""

    def __enter__(self) -> Path:
        self._folder = Path(tempfile.mkdtemp())
        for place in ("canary", "data/canary", "data/entry/2020/entry/canary"):
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / place).write_text(place)
        self._before = self._outside()
        return self._folder / "data" / "entry"

    def __exit__(self, *_: object) -> None:
        after = self._outside()
        shutil.rmtree(self._folder)
        assert after == self._before

    def _outside(self) -> dict[str, str]:
        files = [file for file in self._folder.rglob("*") if file.is_file()]
        inside = self._folder / "data" / "entry"
        return {str(file): file.read_text() for file in files if not file.is_relative_to(inside)}


def entries(place: Path, version: Version) -> list:
    return [
        RecordDataset(str(place), "leagents_kedro.records.Lessons", version),
        PageDataset(str(place), version),
        CheckpointDataset(str(place), version),
    ]


@given(NAMES)
@FUZZED
def test_no_version_leaves_the_place_of_its_entry(name):
    with Surroundings() as place:
        data: list[BaseModel | str | None] = [Lessons(cycle=1, statements=()), "# page", None]
        for dataset, value in zip(entries(place, Version(name, name)), data, strict=True):
            with suppress(KedroDatasetError, LeAgentsError):
                dataset.save(value)
            with suppress(KedroDatasetError, LeAgentsError):
                dataset.load()
            with suppress(KedroDatasetError, OSError, ValueError):
                dataset.retire(name, "fuzzed")
        workspace = WorkspaceDataset(str(place), Version(None, name))
        for act in (workspace.load, lambda: workspace.discard(name)):
            with suppress(KedroDatasetError):
                act()


@given(NAMES)
@FUZZED
def test_no_row_of_the_ledger_deletes_beside_its_entry(name):
    opened = {"event": "opened", "cycle": 1, "run_id": name, "pins": {"entry": name}, "params": {}, "code": None}
    abandoned = {"event": "abandoned", "cycle": 1, "run_id": name, "by": "Ada"}
    with Surroundings() as place, suppress(KedroDatasetError, OSError, ValueError):
        catalog = DataCatalog({"entry": entries(place, Version(None, None))[0]})
        discard_abandoned(History.of([row | {"at": "now"} for row in (opened, abandoned)]), catalog)


@given(NAMES)
@FUZZED
def test_a_task_is_known_or_refused(name):
    with suppress(ParameterError):
        assert all(task == task.strip("/.") for task in tasks_named([name], "metaworld_state"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("source") / "v3", numbers(observation__state=2, action=2), [3])


def with_info(dataset: Path, target: Path, **changes: object) -> Path:
    shutil.copytree(dataset, target)
    info = json.loads((dataset / "meta/info.json").read_text())
    (target / "meta/info.json").write_text(json.dumps(info | changes))
    return target


@given(st.sampled_from(["data_path", "video_path"]), NAMES)
@FUZZED
def test_no_template_leads_out_of_a_dataset(dataset, name, template):
    with Surroundings() as place:
        source = with_info(dataset, place / "source", **{name: template})
        with pytest.raises(EpisodesError, match=f"{name} in meta/info.json should be"):
            writing.import_dataset(source, place / "imported")
        assert not (place / "imported").exists()


@given(NAMES)
@FUZZED
def test_no_feature_leads_out_of_a_dataset(dataset, key):
    with Surroundings() as place:
        feature = {"dtype": "video", "shape": [4, 4, 3], "names": None}
        features = json.loads((dataset / "meta/info.json").read_text())["features"]
        source = with_info(dataset, place / "source", features=features | {key: feature})
        with suppress(EpisodesError):
            writing.import_dataset(source, place / "imported")
            assert (place / "videos" / key).resolve().parent == place / "videos"


def test_the_templates_are_those_of_lerobot(dataset):
    from lerobot.datasets.utils import DEFAULT_DATA_PATH, DEFAULT_VIDEO_PATH

    with_both = {"data_path": DEFAULT_DATA_PATH, "video_path": DEFAULT_VIDEO_PATH}
    with Surroundings() as place:
        check_dataset(with_info(dataset, place / "source", **with_both))


@pytest.mark.parametrize("name", ["meta/notes", "data/chunk-000/file-001.parquet", "folder"])
def test_a_link_out_of_a_dataset_is_not_followed(dataset, tmp_path, name):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("mine")
    source = shutil.copytree(dataset, tmp_path / "source")
    (source / name).symlink_to(tmp_path / "private" / ("" if name == "folder" else "key"))
    with pytest.raises(EpisodesError, match="links to a place outside"):
        writing.import_dataset(source, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


def test_links_within_a_dataset_are_followed(dataset, tmp_path):
    source = shutil.copytree(dataset, tmp_path / "source")
    (source / "meta/stats.json").rename(source / "stats.json")
    (source / "meta/stats.json").symlink_to("../stats.json")
    writing.import_dataset(source, tmp_path / "imported")
    assert not (tmp_path / "imported/meta/stats.json").is_symlink() or check_dataset(tmp_path / "imported")


PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")


@pytest.fixture
def checkpoint(tmp_path):
    """A version of a checkpoint that is complete, though its weights are none."""
    version = tmp_path / "data" / "candidate" / "v" / "candidate"
    folder = version / "pretrained_model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"type": "act"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    for name in PROCESSORS:
        (folder / name).write_text('{"steps": [{"registry_name": "normalizer_processor", "config": {}}]}')
    record = {"policy_type": "act", "rung": 0, "step": 1, "digest": checkpoint_digest(folder)}
    (version / "checkpoint.json").write_text(json.dumps(record))
    return version


def load(version: Path):
    return CheckpointDataset(str(version.parents[1]), Version("v", None)).load()


def with_step(version: Path, **step: object) -> Path:
    (version / "pretrained_model" / PROCESSORS[0]).write_text(json.dumps({"steps": [step]}))
    return version


def test_a_checkpoint_loads(checkpoint):
    assert load(checkpoint).path == checkpoint


@pytest.mark.parametrize("name", ["pytorch_model.bin", "state.pt", "more/weights.PTH", "x.pkl", "a.pickle", "b.joblib"])
def test_a_checkpoint_with_pickled_files_is_refused(checkpoint, name):
    place = checkpoint / "pretrained_model" / name
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"")
    with pytest.raises(CheckpointError, match="only safetensors may"):
        load(checkpoint)


def test_no_class_of_others_is_imported_for_a_checkpoint(checkpoint, tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"the processor hostile\.Step would be imported"):
        load(with_step(checkpoint, **{"class": "hostile.Step"}))
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    "step",
    [
        {"registry_name": "tokenizer_processor", "config": {"trust_remote_code": True}},
        {"registry_name": "action_tokenizer_processor", "config": {}},
    ],
)
def test_no_code_from_the_hub_is_run_for_a_checkpoint(checkpoint, step):
    with pytest.raises(CheckpointError, match="would run code from the Hub"):
        load(with_step(checkpoint, **step))


@given(st.one_of(NAMES, NAMES.map("{}.safetensors".format)))
@FUZZED
def test_no_state_of_a_processor_lies_outside_of_a_checkpoint(tmp_path_factory, name):
    version = tmp_path_factory.mktemp("fuzz") / "v" / "candidate"
    folder = version / "pretrained_model"
    folder.mkdir(parents=True)
    (folder / PROCESSORS[0]).write_text(json.dumps({"steps": [{"registry_name": "x", "state_file": name}]}))
    from leagents_kedro.foundation.untrusted import check_checkpoint

    with suppress(CheckpointError):
        check_checkpoint(folder)
        assert name == "" or (folder / name).resolve().parent == folder.resolve()


def test_a_record_cannot_say_where_a_checkpoint_lies(checkpoint):
    record = json.loads((checkpoint / "checkpoint.json").read_text())
    (checkpoint / "checkpoint.json").write_text(json.dumps(record | {"path": "/etc"}))
    with pytest.raises((KedroDatasetError, CheckpointError)):
        load(checkpoint)


def test_a_link_out_of_a_checkpoint_is_refused(checkpoint, tmp_path):
    (tmp_path / "key").write_text("mine")
    (checkpoint / "pretrained_model/README.md").symlink_to(tmp_path / "key")
    with pytest.raises(CheckpointError, match="links to a place outside"):
        load(checkpoint)


UNPICKLES = """
import sys
from pathlib import Path
import lerobot.policies, lerobot.common.train_utils, lerobot.optim.factory, lerobot.datasets.lerobot_dataset
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.policies.actor import Actor
from leagents_kedro.policies.training import Rung, TrainingSettings, train

options = dict(chunk_size=4, n_action_steps=4, dim_model=16, n_heads=2, dim_feedforward=32, n_encoder_layers=1,
               n_vae_encoder_layers=1, latent_dim=4)
rung = Rung(policy_type="act", steps=4, pretrained_path=None, pretrained_revision=None, options=options)
def run():
    shards, workspace, frame_cache = map(Path, sys.argv[1:])
    settings = TrainingSettings(**SETTINGS)
    return train(Shards(shards), [0], rung, settings, None, workspace, frame_cache, lambda *_: None)
folder = run()
unpickled = []
sys.addaudithook(lambda event, args: unpickled.append(args) if event == "pickle.find_class" else None)
rung = rung.model_copy(update={"steps": 6})
again = run()
assert again != folder
Actor.load(again)
print("unpickled", unpickled)
"""


@pytest.mark.slow
def test_training_resuming_and_acting_unpickle_nothing(tmp_path):
    given_settings = base_parameters("training")
    given_settings = {key: given_settings[key] for key in TrainingSettings.model_fields} | {"save_every_steps": 2}
    code = UNPICKLES.replace("SETTINGS", repr(given_settings | {"batch_size": 2, "device": "cpu"}))
    write_random(tmp_path / "v3", numbers(observation__state=2, observation__environment_state=2, action=2), [8])
    command = [sys.executable, "-c", code, *(str(tmp_path / name) for name in ("v3", "workspace", "frames"))]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert completed.stdout.splitlines()[-1:] == ["unpickled []"], completed.stdout + completed.stderr


FORBIDDEN = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    "pickle": {"load", "loads", "Unpickler"},
    "torch": {"load"},
    "os": {"system", "popen"},
    "yaml": {"load", "unsafe_load", "full_load"},
    "marshal": {"load", "loads"},
    "joblib": {"load"},
}


def faults(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id in FORBIDDEN:
                found.append(function.id)
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                module, name = function.value.id, function.attr
                if name in FORBIDDEN_ATTRIBUTES.get(module, ()):
                    found.append(f"{module}.{name}")
                if module == "subprocess" and isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
                    found.append("subprocess of a string")
            found += [f"{word.arg}=" for word in node.keywords if word.arg in {"shell", "allow_pickle"}]
            for word in node.keywords:
                if word.arg == "trust_remote_code" or (
                    word.arg == "weights_only" and ast.unparse(word.value) != "True"
                ):
                    found.append(f"{word.arg}=")
        if isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN_ATTRIBUTES:
            found += [alias.name for alias in node.names if alias.name in FORBIDDEN_ATTRIBUTES[node.module]]
    return found


@pytest.mark.parametrize(
    "code", ["pickle.loads(x)", "torch.load(x)", "eval(x)", "run(x, shell=True)", "subprocess.run('x')", "os.system(x)",
             "f(trust_remote_code=True)", "from pickle import load", "yaml.load(x)"],
)  # fmt: skip
def test_the_search_finds(code):
    assert faults(ast.parse(code))


def test_the_project_runs_no_code_of_others():
    found = {str(file): faults(ast.parse(file.read_text())) for file in (ROOT / "src").rglob("*.py")}
    assert {file: fault for file, fault in found.items() if fault} == {}


@pytest.fixture(scope="module")
def constitution():
    return ConstitutionDataset(str(ROOT / "conf/base/constitution.yml")).load()


def rung(policy_type: str = "act", **options: object) -> Rung:
    return Rung(policy_type=policy_type, steps=1, pretrained_path=None, pretrained_revision=None, options=options)


@pytest.fixture(scope="module")
def training():

    given_settings = base_parameters("training")
    return TrainingSettings(**{key: given_settings[key] for key in TrainingSettings.model_fields})


def test_a_push_to_the_hub_is_off_and_denied(constitution, training, tmp_path):
    assert policy_config(rung(), "cpu").push_to_hub is False
    (tmp_path / "config.json").write_text('{"type": "act", "push_to_hub": true, "repo_id": "a/b"}')
    assert policy_config(rung(), "cpu", tmp_path).push_to_hub is False
    [violation] = violations(constitution, training_command(rung(push_to_hub=True), training))
    assert "pushes to the Hub" in violation
    allowed = constitution.model_copy(update={"hub_push": True})
    assert violations(allowed, training_command(rung(push_to_hub=True), training)) == ()


@pytest.mark.parametrize("policy_type", sorted(REMOTE_CODE_POLICIES))
def test_policies_that_run_code_from_the_hub_are_denied(constitution, training, policy_type):
    [violation] = violations(constitution, training_command(rung(policy_type), training))
    assert "runs code from the Hub" in violation
    allowed = constitution.model_copy(update={"remote_code": True})
    assert violations(allowed, training_command(rung(policy_type), training)) == ()


def test_the_policies_that_run_code_from_the_hub_are_known():
    import lerobot.policies

    folders = [path for path in Path(lerobot.policies.__path__[0]).iterdir() if path.is_dir()]
    trusting = {
        folder.name
        for folder in folders
        if any("trust_remote_code=True" in file.read_text() or '"trust_remote_code": True' in file.read_text()
               for file in folder.rglob("*.py"))
    }  # fmt: skip
    assert trusting == REMOTE_CODE_POLICIES


TOKEN = "hf_" + string.ascii_lowercase


def test_tokens_stay_out_of_logs_errors_and_pages(tmp_path, monkeypatch):
    import leagents_kedro.settings  # noqa: F401

    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")  # pragma: allowlist secret
    assert logging.getLogRecordFactory() is RedactedRecord
    record = logging.getLogger("any.library").makeRecord("x", 20, "f", 1, "%s at %s", (TOKEN, "0123456789abcdef"), None)
    assert record.getMessage() == "[redacted] at [redacted]"
    error = ValueError(f"no {TOKEN}")
    error.__cause__ = KeyError(TOKEN)
    with suppress(ValueError), redacted_errors():
        raise error
    assert (str(error), str(error.__cause__)) == ("no [redacted]", "'[redacted]'")
    page = PageDataset(str(tmp_path / "pages"), Version(None, "v"))
    page.save(f"# {TOKEN}")
    assert "".join(file.read_text() for file in (tmp_path / "pages").iterdir()) == "# [redacted]"


def test_servers_listen_on_the_loopback_interface_alone():
    from kedro_viz.constants import DEFAULT_HOST

    assert DEFAULT_HOST == "127.0.0.1"
    commands = [line for line in (ROOT / "Makefile").read_text().splitlines() if "kedro viz" in line]
    assert commands
    assert not any("--host" in line for line in commands)


def test_the_event_log_is_among_the_hooks():
    from leagents_kedro.settings import HOOKS

    assert any(isinstance(hook, EventHooks) for hook in HOOKS)


def test_an_imported_dataset_is_still_opened(dataset, tmp_path):
    writing.import_dataset(dataset, tmp_path / "imported")
    assert Shards(tmp_path / "imported").total_episodes == 1
