"""What people get wrong is told in words that name the thing, what was expected, and the likely fix."""

import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from kedro.io import DatasetError as KedroDatasetError
from kedro.io import Version

from leagents_kedro.datasets.checkpoint import CheckpointDataset
from leagents_kedro.datasets.ledger import LedgerDataset
from leagents_kedro.datasets.record import RecordDataset
from leagents_kedro.datasets.versions import next_run_id
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError, ConstitutionError, EpisodesError, LedgerError, ParameterError
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.pipelines.seed.nodes import seed_mix
from leagents_kedro.pipelines.selection.nodes import review_plan
from leagents_kedro.pipelines.training.nodes import train_candidate
from leagents_kedro.records import Plan, Selection
from support.damage import frames, info, number, without, written
from support.datasets import METAWORLD, write_reaches
from support.parameters import base_constitution, base_parameters, described
from support.projects import copy_project, prepare, run


@dataclass(frozen=True)
class Project:
    """The project's own configuration in a folder of its own; commands run in forks of the test process."""

    path: Path

    def ledger(self, *rows: object) -> None:
        file = self.path / "data/ledger.jsonl"
        file.parent.mkdir()
        file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))

    def kedro(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code of a command, and what it printed."""

        ended = run(self.path, *arguments)
        return ended.code, ended.output


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    prepare("lerobot.policies", "leagents_kedro.simulation.metaworld.env")


IN_PROCESS = "evaluation: {workers: 1, episode_timeout_s: null}"  # no command here lives until workers are ready


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = copy_project(tmp_path / "project")
    (folder / "conf/local/parameters_evaluation.yml").write_text(IN_PROCESS)
    return Project(folder)


OPENED = {"event": "opened", "cycle": 1, "run_id": "r", "pins": {}, "params": {}, "code": None, "at": "t"}
ABANDONED = {"event": "abandoned", "cycle": 1, "run_id": "r", "by": "Ada", "at": "t"}
APPROVED = {"event": "approved", "cycle": 1, "by": "Ada", "at": "t"}


def rung(**changes: object) -> str:
    small = {"policy_type": "act", "steps": 1, "pretrained_path": None, "pretrained_revision": None, "options": {}}
    return json.dumps({"training": {"ladder": [small | changes]}})


def given(**files: str) -> Callable[[Project], None]:
    """Write files of ``conf/local``."""

    def arrange(project: Project) -> None:
        for name, content in files.items():
            (project.path / "conf" / "local" / f"{name}.yml").write_text(content)

    return arrange


def nothing(project: Project) -> None:
    """Leave the project as it is."""


def params(*assignments: str) -> list[str]:
    return ["run", f"--params={','.join(assignments)}"]


RUN = ["run"]
ELSEWHERE = "cuda" if sys.platform == "darwin" else "mps"
COMMANDS = {
    "a stage": (nothing, params("trainng.seed=1"), "'trainng'", "there are", "Did you mean 'training'?"),
    "a key": (nothing, params("training.batch_sise=1"), "training.batch_sise", "not permitted", "'batch_size'?"),
    "a word for a count": (nothing, params("training.batch_size=many"), "training.batch_size", "integer", "got 'many'"),
    "no cycles": (nothing, params("loop.max_cycles=0"), "loop.max_cycles", "greater than or equal to 1", "got 0"),
    "no hours": (nothing, params("loop.max_wall_hours=0"), "loop.max_wall_hours", "greater than 0", "got 0"),
    "a kind of device": (nothing, params("training.device=gpu"), "training.device", "'cuda' or 'mps'", "got 'gpu'"),
    "an approval": (nothing, params("gating.approval=maybe"), "gating.approval", "'auto' or 'human'", "got 'maybe'"),
    "a lineage": (nothing, params("gating.lineage=tail"), "gating.lineage", "'head' or 'blessed'", "got 'tail'"),
    "an error rate": (nothing, params("gating.alpha_promote=2"), "gating.alpha_promote", "less than", "got 2"),
    "odd looks": (
        nothing,
        params("gating.look_every=7"),
        "look_every",
        "multiple of the number",
        "got 7 pairs for 10 tasks; 10 would do",
    ),
    "no folder": (nothing, params("demonstrations.source=folder"), "demonstrations", "'folder'", "must name one"),
    "no revision": (nothing, params("demonstrations.source=hub"), "demonstrations", "'hub'", "revision"),
    "a source": (nothing, params("demonstrations.source=disk"), "demonstrations.source", "'hub'", "got 'disk'"),
    "an imbalance": (
        nothing,
        params("selection.max_imbalance=0.5"),
        "selection.max_imbalance",
        "equal to 1",
        "got 0.5",
    ),
    "a share": (nothing, params("demonstrations.solved_above=2"), "demonstrations.solved_above", "equal to 1", "got 2"),
    "no slots": (nothing, params("evaluation.slots=0"), "evaluation.slots", "greater than or equal to 1", "got 0"),
    "attempts": (nothing, params("harvest.attempts_per_task=-1"), "harvest.attempts_per_task", "equal to 0", "got -1"),
    "an option": (
        nothing,
        params("suite.options.episode_lenght=9"),
        "'episode_lenght'",
        "there are",
        "'episode_length'?",
    ),
    "an option for a stage": (
        nothing,
        [*params("suite.options.episode_lenght=9"), "--pipelines=selection"],
        "suite.options",
        "there are episode_length, fps",
        "'episode_length'?",
    ),
    "a device": (
        nothing,
        params(f"training.device={ELSEWHERE}"),
        "training.device",
        "finds no device",
        "set it to auto",
    ),
    "two tasks in one sentence": (
        given(parameters="suite: {tasks: [easy, medium, hard, very_hard]}"),
        RUN,
        "suite.tasks",
        "Push the puck to a goal",
        "keep one of them",
    ),
    "a simulator": (
        nothing,
        params("suite.environment=metaworld-state"),
        "'metaworld-state'",
        "is not among",
        "'metaworld_state'?",
    ),
    "a task": (given(parameters="suite: {tasks: [reech-v3]}"), RUN, "'reech-v3'", "task or group", "'reach-v3'?"),
    "no tasks": (given(parameters="suite: {tasks: []}"), RUN, "suite.tasks", "at least 1 item", "Known keys of suite"),
    "no ladder": (given(parameters="training: {ladder: []}"), RUN, "training.ladder", "at least 1", "Known keys"),
    "a policy": (given(parameters=rung(policy_type="akt")), RUN, "'akt'", "there are", "Did you mean 'act'?"),
    "an option of it": (
        given(parameters=rung(options={"dim_modell": 8})),
        RUN,
        "'dim_modell'",
        "option of act",
        "Did you mean 'dim_model'?",
    ),
    "its value": (
        given(parameters=rung(options={"chunk_size": "few"})),
        RUN,
        "training.ladder",
        "not valid",
        "chunk_size",
    ),
    "a key of a rung": (given(parameters=rung(step=1)), RUN, "training.ladder.0.step", "not permitted", "'steps'?"),
    "a torn file": (
        given(parameters="suite: {tasks: [\n"),
        RUN,
        "conf/local/parameters.yml, line 2",
        "Correct the file",
    ),
    "a tab": (given(parameters="suite:\n\ttasks: []"), RUN, "conf/local/parameters.yml, line 2", "Correct the file"),
    "a key twice": (
        given(parameters="suite: {}\nsuite: {}"),
        RUN,
        "conf/local/parameters.yml, line 2: found duplicate key suite",
        "Correct the file",
    ),
    "two documents": (given(parameters="suite: {}\n---\nloop: {}"), RUN, "parameters.yml, line 2", "another document"),
    "a torn file for Kedro's command": (
        given(parameters="suite: {tasks: [\n"),
        ["catalog", "describe-datasets"],
        "conf/local/parameters.yml, line 2",
        "Correct the file",
    ),
    "a fault within a rung": (given(parameters=rung(steps="many")), RUN, "ladder.0.steps: Input", "'many'. Known keys"),
    "a key, for a question": (
        given(parameters="training: {batch_sise: 1}"),
        ["loop", "status"],
        "training.batch_sise",
        "'batch_size'?",
    ),
    "a key, for Kedro's question": (
        given(parameters="training: {batch_sise: 1}"),
        ["catalog", "list-patterns"],
        "batch_sise",
        "not permitted",
        "Correct the file in conf/",
    ),
    "a list for a stage": (given(parameters="suite: [1]"), RUN, "suite: expected keys", "got [1]", "Name the keys"),
    "a word for a stage": (nothing, params("suite=push"), "suite", "got 'push' in --params", "Name the keys"),
    "a reference": (given(parameters="suite: {environment: '${nowhere}'}"), RUN, "'nowhere'", "not found", "Correct"),
    "an environment": (nothing, ["run", "--env=locl"], "'locl'", "there are base, local", "Did you mean 'local'?"),
    "its status": (nothing, ["loop", "status", "--env=locl"], "'locl'", "base, local", "Did you mean 'local'?"),
    "a dataset class": (
        given(catalog="mix: {type: leagents_kedro.datasets.Shard, filepath: a}"),
        RUN,
        "'mix'",
        "'Shard' not found in 'leagents_kedro.datasets'",
        "Make sure the dataset name is correct",
    ),
    "an argument": (
        given(catalog="mix: {type: leagents_kedro.datasets.lerobot_shards.LeRobotShards, path: a}"),
        RUN,
        "'mix'",
        "unexpected keyword argument",
        "'path'",
    ),
    "a record's model": (
        given(catalog="plan: {type: leagents_kedro.datasets.record.RecordDataset, model: records.Plan, filepath: a}"),
        RUN,
        "'plan'",
        "records",
        "RecordDataset",
    ),
    "an entry": (
        lambda project: (project.path / "conf/base/catalog.yml").write_text("{}"),
        ["loop", "status"],
        "'ledger'",
        "not found",
        "catalog",
    ),
    "a version": (
        nothing,
        ["run", "--nodes=select_episodes", "--load-versions=mix:2020-01-01T00.00.00.000Z"],
        "data/05_model_input/mix",
        "wanted: 2020",
        "Run the pipeline that writes it",
    ),
    "a version of what": (
        nothing,
        ["run", "--load-versions=mox:2020"],
        "--load-versions",
        "no catalog entry 'mox'",
        "'mix'?",
    ),
    "a runner": (nothing, ["run", "--runner=NoRunner"], "no runner 'NoRunner'", "there are", "SequentialRunner"),
    "a described pipeline": (nothing, ["registry", "describe", "cylce"], "'cylce'", "there are", "cycle, evaluation"),
    "a rung that is not there": (
        nothing,
        params("training.ladder[7].steps=1"),
        "training.ladder.7",
        "is a list of",
        "counted from 0",
    ),
    "data on a disk that is away": (
        lambda project: (project.path / "data").symlink_to("nowhere"),
        ["loop", "status"],
        "/data: this link leads to nowhere",
        "not there",
        "Mount the disk",
    ),
    "an entry on S3": (
        given(catalog="plan: {type: leagents_kedro.datasets.record.RecordDataset, model: x, filepath: 's3://b/p'}"),
        RUN,
        "'plan'",
        "expected a path on this machine",
        "got s3://",
    ),
    "a data set of the Hub": (
        given(parameters="demonstrations: {source: hub, repo_id: my data, revision: main, amplify: null}"),
        RUN,
        "'my data' cannot be downloaded: HFValidationError",
        "must be reachable under demonstrations.revision (main) as OWNER/NAME",
    ),
    "a data set that is not here": (
        given(parameters="demonstrations: {source: hub, repo_id: nobody/data, revision: main, amplify: null}"),
        RUN,
        "'nobody/data' cannot be downloaded: LocalEntryNotFoundError",
        "or downloaded already",
    ),
    "a pipeline": (nothing, ["run", "--pipelines=cylce"], "'cylce'", "there are", "cycle, evaluation"),
    "a node": (nothing, ["run", "--from-nodes=evaluate"], "--from-nodes", "'evaluate'", "'evaluate_candidate'?"),
    "a node up to": (nothing, ["run", "--to-nodes=deside"], "--to-nodes", "'deside'", "Did you mean 'decide'?"),
    "nodes": (nothing, ["run", "--nodes=decide,harvst"], "--nodes", "'harvst'", "there are"),
    "an output": (nothing, ["run", "--to-outputs=candidat"], "--to-outputs", "'candidat'", "'candidate'?"),
    "an input": (nothing, ["run", "--from-inputs=mixx"], "--from-inputs", "'mixx'", "Did you mean 'mix'?"),
    "a tag": (nothing, ["run", "--tags=devise"], "--tags", "'devise'", "Did you mean 'device'?"),
    "a namespace": (nothing, ["run", "--namespaces=gatin"], "--namespaces", "'gatin'", "Did you mean 'gating'?"),
    "a cycle that does not wait": (
        nothing,
        ["loop", "approve", "3", "--by=Ada"],
        "Cycle 3",
        "not awaiting approval",
        "no cycle is",
    ),
    "a rejected constitution": (
        nothing,
        ["loop", "reject", "constitution", "--by=Ada"],
        "A constitution",
        "cannot be rejected",
        "change the file back",
    ),
    "an unchanged constitution": (
        nothing,
        ["loop", "approve", "constitution", "--by=Ada"],
        "The constitution",
        "that of the last cycle",
        "nothing to approve",
    ),
    "nobody": (
        lambda project: project.ledger(OPENED),
        ["loop", "abandon", "1", "--by="],
        "abandoned.by",
        "at least 1 character",
        "got ''",
    ),
    "a cycle that is not open": (
        nothing,
        ["loop", "abandon", "2", "--by=Ada"],
        "Cycle 2",
        "is not open",
        "no cycle is",
    ),
    "a rule": (nothing, ["loop", "whatif", "--params=gating.alpha=0.1"], "gating.alpha", "there are", "alpha_promote"),
    "another stage": (
        nothing,
        ["loop", "whatif", "--params=training.seed=1"],
        "'training'",
        "Only rules of the gate",
        "gating.*",
    ),
    "no such path": (nothing, ["loop", "doctor", "nowhere"], "nowhere", "LeRobotDataset", "correct the path"),
    "a path to something": (nothing, ["loop", "doctor", "conf"], "conf", "is neither", "correct the path"),
    "no constitution": (
        lambda project: (project.path / "conf/base/constitution.yml").unlink(),
        RUN,
        "conf/base/constitution.yml",
        "without limits no job runs",
        "Restore the file",
    ),
    "a torn constitution": (
        lambda project: (project.path / "conf/base/constitution.yml").write_text("a: ["),
        RUN,
        "constitution.yml",
        "expected YAML",
        "Correct the file",
    ),
    "an empty constitution": (
        lambda project: (project.path / "conf/base/constitution.yml").write_text(""),
        RUN,
        "constitution",
        "dictionary",
        "Known keys of constitution: environments",
    ),
    "a limit": (
        lambda project: limits(project, hub_pusch=False),
        RUN,
        "constitution.hub_pusch",
        "not permitted",
        "'hub_push'?",
    ),
    "a limit's value": (
        lambda project: limits(project, max_episodes="some"),
        RUN,
        "constitution.max_episodes",
        "valid integer",
        "got 'some'",
    ),
    "a limit of steps": (
        lambda project: limits(project, max_training_steps=100),
        RUN,
        "10000 training steps",
        "more than 100",
        "Change the parameters, or conf/base/constitution.yml",
    ),
    "a limit of simulators": (
        lambda project: limits(project, environments=["pusht"]),
        RUN,
        "metaworld_state",
        "not among pusht",
        "constitution.yml",
    ),
    "a damaged row": (
        lambda project: project.ledger(OPENED, '{"event": "clo', ABANDONED),
        RUN,
        "ledger.jsonl, line 2",
        "expected a JSON object",
        "restore it from a copy",
    ),
    "a list for a row": (
        lambda project: project.ledger([1, 2]),
        ["loop", "status"],
        "line 1",
        "expected a JSON object",
        "remove this line",
    ),
    "an event": (
        lambda project: project.ledger(OPENED | {"event": "opend"}),
        RUN,
        "Row 1",
        "got 'opend'",
        "restore the file from a copy",
    ),
    "another schema": (
        lambda project: project.ledger({"event": "opened", "number": 1}),
        RUN,
        "Row 1 of the ledger",
        "row.opened.cycle: Field required",
        "another version of the project",
    ),
    "an end without a beginning": (
        lambda project: project.ledger(ABANDONED),
        RUN,
        "Row 1 of the ledger says 'abandoned'",
        "expected 'opened' of cycle 1",
        "restore it from a copy",
    ),
    "a number": (
        lambda project: project.ledger(OPENED, ABANDONED, OPENED | {"cycle": 3}),
        ["loop", "status"],
        "Row 3",
        "expected 'opened' of cycle 2",
        "remove this row",
    ),
    "an answer to nothing": (
        lambda project: project.ledger(APPROVED),
        ["loop", "replay"],
        "Row 1",
        "is not open or was answered",
        "remove this row",
    ),
}


def limits(project: Project, **changes: object) -> None:
    path = project.path / "conf/base/constitution.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("arrange", "arguments", "fragments"),
    [
        pytest.param(arrange, arguments, fragments, id=name, marks=() if number % 12 == 0 else pytest.mark.slow)
        for number, (name, (arrange, arguments, *fragments)) in enumerate(COMMANDS.items())
    ],
)
def test_a_command_tells_what_is_wrong(project, arrange, arguments, fragments):
    arrange(project)
    code, output = project.kedro(*arguments)
    told = " ".join(output.split())
    assert code == 1, output
    assert "Traceback" not in told
    for fragment in fragments:
        assert fragment in told
    assert not list(project.path.glob("data/*/*/*")), "nothing was spent"


OPTIONS = {
    "no run in a file": ("options.yml", "selection: []", "--config=options.yml", "cannot be used: KeyError('run')"),
    "a torn file of options": ("options.yml", "run: [", "--config=options.yml", "cannot be used: ParserError"),
    "an option that is none": ("options.yml", "run: {pipelnes: a}", "--config=options.yml", "Key `pipelnes`"),
    "a version without its entry": ("options.yml", "", "--load-versions=mix", "the form of 'load_versions'"),
}


@pytest.mark.parametrize(
    ("name", "content", "option", "fragment"),
    [
        pytest.param(*values, id=name, marks=() if number == 0 else pytest.mark.slow)
        for number, (name, values) in enumerate(OPTIONS.items())
    ],
)
def test_a_value_of_an_option_is_refused_in_a_line(project, name, content, option, fragment):
    (project.path / name).write_text(content)
    code, output = project.kedro("run", option)
    assert code == 2
    assert f"Invalid value for '{option.partition('=')[0]}'" in output
    assert fragment in " ".join(output.split())
    assert "Traceback" not in output


def test_a_second_driver_is_told_of_the_first(project):
    ledger = LedgerDataset(str(project.path / "data/ledger.jsonl"))
    with ledger.lock():
        code, output = project.kedro("run")
    told = " ".join(output.split())
    assert code == 1
    for fragment in ("data/ledger.jsonl", f"another driver of the loop holds the ledger (pid {os.getpid()}", "Wait"):
        assert fragment in told


@pytest.fixture(scope="module")
def reaches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reaches(tmp_path_factory.mktemp("reaches") / "v3")


SUITE = described("metaworld_state", "reach-v3", episode_length=200)
TRAINING = TrainingParams(**base_parameters("training"))
CONSTITUTION = base_constitution()
PLAN = {
    "cycle": 1,
    "run": 1,
    "rung": 0,
    "initial": "scratch",
    "training_steps": 1,
    "evaluation_episodes": 100,
    "reason": "test",
}
GATING = GatingParams(**base_parameters("gating"))


def seeded(root: Path) -> None:
    """Import ``root`` as the seed does."""
    source = base_parameters("demonstrations", source="folder", folder=str(root), amplify=None)
    suite = SuiteParams(environment="metaworld_state", tasks=("reach-v3",), options={"episode_length": 200})
    seed_mix(
        suite,
        DemonstrationParams(**source),
        EvaluationParams(**base_parameters("evaluation", workers=1, episode_timeout_s=None)),
        0,
        CONSTITUTION,
        root / "nowhere",
    )


def features(**changes: object) -> Callable[[Path], None]:
    shapes = {key: feature | {"shape": list(feature["shape"])} for key, feature in METAWORLD.items()}

    def damage(root: Path) -> None:
        kept = json.loads((root / "meta" / "info.json").read_text())["features"]
        info(features=kept | {key: shapes["action"] | change for key, change in changes.items()})(root)

    return damage


DATASETS = {
    "no folder": (shutil.rmtree, "info.json", "should be the JSON that describes a LeRobotDataset", "copy the dataset"),
    "no dataset": (without("meta/info.json"), "info.json", "should be the JSON", "download or copy"),
    "torn": (written("meta/info.json", b"{"), "meta/info.json", "should be the JSON", "download or copy"),
    "version 2.1": (info(codebase_version="v2.1"), "v2.1", "should be v3.0", "convert_dataset_v21_to_v30"),
    "a later version": (info(codebase_version="v9"), "v9", "should be v3.0", "update LeRobot"),
    "empty": (info(total_episodes=0), "v3", "at least one episode", "record some"),
    "never finalized": (without("meta/episodes/*/*"), "meta/episodes", "never finalized", "call finalize()"),
    "unfinished": (written("data/*/*", b"PAR1"), "file-000.parquet", "a finished parquet file", "finalize()"),
    "fewer frames": (info(total_frames=99), "/data", "should have 99 rows, as meta/info.json says, has 18", "copy"),
    "no statistics": (without("meta/stats.json"), "stats.json", "training normalizes with", "recompute_stats"),
    "another fps": (info(fps=30), "v3", "fps should be 80, got 30", "suite.environment or suite.options"),
    "another arm": (features(**{"observation.joints": {}}), "'observation.joints'", "does not give", "suite.options"),
    "another hand": (features(action={"shape": [3]}), "'action'", "should be float32 (4,)", "suite.options"),
    "not a number": (
        frames("action", number(12, 1, math.nan)),
        "'action' should be finite",
        "1 frames are not: episode 1",
        "delete_episodes",
    ),
    "no such task": (
        lambda root: pq.write_table(
            pa.table({"task_index": [0], "task": ["Reach the goal"]}), root / "meta/tasks.parquet"
        ),
        "v3",
        "'Reach a goal position' is not in meta/tasks.parquet",
        "write it anew",
    ),
}


@pytest.mark.parametrize(
    ("damage", "fragments"),
    [
        pytest.param(damage, fragments, id=name, marks=pytest.mark.slow if number % 3 else ())
        for number, (name, (damage, *fragments)) in enumerate(DATASETS.items())
    ],
)
def test_a_dataset_with_a_fault_is_not_imported(reaches, tmp_path, damage, fragments):
    root = Path(shutil.copytree(reaches, tmp_path / "v3"))
    seeded(root)
    damage(root)
    with pytest.raises(EpisodesError) as caught:
        seeded(root)
    for fragment in fragments:
        assert fragment in str(caught.value)


def record(**changes: object) -> Callable[[Path], object]:
    """Load a plan that was edited by hand."""

    def load(folder: Path) -> object:
        path = folder / "plan.json" / "v" / "plan.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**PLAN, **changes}))
        model = "leagents_kedro.records.Plan"
        return RecordDataset(str(folder / "plan.json"), model, Version("v", None)).load()

    return load


def reviewed(plan: Plan, **changes: object) -> object:
    return review_plan(plan, CONSTITUTION.model_copy(update=changes), SUITE, TRAINING)


def checkpoint(files: dict[str, str]) -> Callable[[Path], object]:
    def load(folder: Path) -> object:
        version = folder / "blessed" / "v" / "blessed"
        (version / "pretrained_model").mkdir(parents=True)
        for name, content in files.items():
            (version / name).write_text(content)
        return CheckpointDataset(str(folder / "blessed"), Version("v", None)).load()

    return load


def trained(plan: Plan) -> object:
    inputs = {"mix": Shards(Path("nowhere")), "selection": Selection(episodes={}), "head": None, "blessed": None}
    folders = {"workspace": Path("nowhere"), "frame_cache": Path("nowhere")}
    return train_candidate(**inputs, **folders, plan=plan, training=TRAINING, run_seed=0, constitution=CONSTITUTION)


RECORDED = json.dumps({"policy_type": "act", "rung": 0, "step": 1, "digest": "d"})
CALLS = {
    "a rung": (lambda _: reviewed(Plan(**PLAN | {"rung": 9})), ParameterError, "3 rungs", "on rung 9", "append a rung"),
    "a rung to train": (lambda _: trained(Plan(**PLAN | {"rung": 9})), ParameterError, "3 rungs", "rung 9", "restore"),
    "no weights to go on from": (
        lambda _: trained(Plan(**PLAN | {"initial": "head"})),
        CheckpointError,
        "head checkpoint",
        "there is none",
        "kedro loop abandon 1",
    ),
    "an initial": (
        record(initial="tail"),
        KedroDatasetError,
        "Plan.initial",
        "'head' or 'blessed', got 'tail'",
        "restore",
    ),
    "steps": (
        record(training_steps="many"),
        KedroDatasetError,
        "Plan.training_steps",
        "got 'many'",
        "delete this version",
    ),
    "a field": (record(rungs=1), KedroDatasetError, "Plan.rungs", "not permitted; did you mean 'rung'?", "plan.json"),
    "too many steps": (
        lambda _: reviewed(Plan(**PLAN), max_training_steps=9),
        ConstitutionError,
        "lerobot-train: 10000 training steps",
        "more than 9",
        "Change the parameters",
    ),
    "too many episodes": (
        lambda _: reviewed(Plan(**PLAN), max_episodes=9),
        ConstitutionError,
        "lerobot-eval: 100 episodes",
        "more than 9",
        "conf/base/constitution.yml",
    ),
    "a version of nothing": (
        lambda folder: RecordDataset(str(folder / "a"), "leagents_kedro.records.Plan", Version("v", None)).load(),
        KedroDatasetError,
        "wanted: v",
        "No version in",
        "Run the pipeline that writes it",
    ),
    "half a checkpoint": (
        checkpoint({"checkpoint.json": RECORDED, "pretrained_model/config.json": "{}"}),
        CheckpointError,
        "policy_preprocessor.json, policy_postprocessor.json, model.safetensors missing",
        "expected a complete `pretrained_model` folder",
        "checkpoints/<step>/pretrained_model",
    ),
    "a torn record of one": (
        checkpoint({"checkpoint.json": RECORDED[:9]}),
        CheckpointError,
        "checkpoint.json",
        "expected a JSON object",
        "restore it from a copy",
    ),
    "a version of the future": (
        lambda folder: next_run_id([], ["newest"]),
        LedgerError,
        "'newest'",
        "no timestamp",
        "Rename its folder to a timestamp",
    ),
}


@pytest.mark.parametrize(("call", "kind", "fragments"), [(c, k, f) for c, k, *f in CALLS.values()], ids=CALLS)
def test_a_fault_has_a_name(tmp_path, call, kind, fragments):
    with pytest.raises(kind) as caught:
        call(tmp_path)
    for fragment in fragments:
        assert fragment in str(caught.value)
