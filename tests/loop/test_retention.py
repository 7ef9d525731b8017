import fcntl
import json
import shutil
import signal

import pytest

from leagents_kedro.policies.checkpoints import checkpoint_digest

KEEP = "retention: {keep_last: 2, keep_cited_by: [%s]}\nloop: {max_cycles: %d}\ngating: {verdicts: [%s]}\n"


def cited(*verdicts, keep="promote", cycles=6):
    return KEEP % (keep, cycles, ", ".join(verdicts))


def kept(project, name):
    """Cycles of which a version is there."""
    run_ids = {row["run_id"]: row["cycle"] for row in project.rows}
    return [run_ids[path.parent.name] for path in sorted((project.path / "data" / name).glob(f"*/{name}"))]


def test_without_the_parameter_everything_stays(project):
    project.configure("loop: {max_cycles: 5}")
    project.kedro("run")
    assert kept(project, "candidate") == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_null_keeps_everything(project):
    project.configure("retention: {keep_last: null, keep_cited_by: []}\nloop: {max_cycles: 5}")
    assert project.kedro("run").code == 0
    assert kept(project, "candidate") == [1, 2, 3, 4, 5]


def test_the_last_ones_stay_and_records_always(project):
    project.configure(cited())
    shutil.copy(project.path / "conf/watched/catalog.yml", project.path / "conf/local")
    ended = project.kedro("run")
    assert ended.code == 0, ended.output
    assert kept(project, "candidate") == [5, 6]
    assert len(project.versions("plan.json")) == 6
    assert len(project.versions("mix.json")) == 7
    run_id = project.rows[0]["run_id"]
    assert f"Retention deleted version {run_id} of blessed, candidate" in ended.output
    events = [json.loads(line) for line in (project.path / "data/events.jsonl").read_text().splitlines()]
    retired = [row for row in events if row["event"] == "retired"]
    assert [row["entries"] for row in retired] == [["blessed", "candidate"]] * 4
    assert retired[0]["run_id"] == run_id
    assert not list(project.path.glob("data/*/.trash"))


@pytest.mark.slow
def test_what_a_cited_cycle_read_and_wrote_stays(project):
    project.configure(cited("iterate", "promote", "iterate", "iterate", "rollback", cycles=8))
    assert project.kedro("run").code == 0
    assert kept(project, "candidate") == [1, 2, 7, 8]  # promoted in 2, from the head of 1
    assert kept(project, "blessed") == [1, 2, 7, 8]
    project.configure(cited("iterate", "promote", "iterate", "iterate", "rollback", keep="promote, rollback", cycles=9))
    assert project.kedro("run").code == 0
    assert kept(project, "candidate") == [1, 2, 8, 9]


@pytest.mark.slow
def test_the_blessed_checkpoint_stays_however_old_it_is(project):
    project.configure(cited("promote", keep="", cycles=7))
    assert project.kedro("run").code == 0
    digest = project.rows[1]["record"]["candidate_digest"]
    newest = sorted(project.path.glob("data/blessed/*/blessed/checkpoint.json"))[-1]
    assert json.loads(newest.read_text())["digest"] == digest
    assert project.rows[-1]["record"]["blessed_digest"] == digest


@pytest.mark.slow
def test_a_base_that_a_kept_checkpoint_or_a_parameter_names_stays(project):
    project.configure(cited(cycles=3))
    project.kedro("run", "--params=retention.keep_last=10")
    ids = {row["cycle"]: row["run_id"] for row in project.rows}
    folder = project.path / "data/candidate"

    def name_base(cycle, base):
        checkpoint = folder / ids[cycle] / "candidate"
        adapter = {"base_model_name_or_path": f"{folder}/{ids[base]}/candidate/pretrained_model"}
        (checkpoint / "pretrained_model/adapter_config.json").write_text(json.dumps(adapter))
        record = json.loads((checkpoint / "checkpoint.json").read_text())
        record["digest"] = checkpoint_digest(checkpoint / "pretrained_model")
        (checkpoint / "checkpoint.json").write_text(json.dumps(record))

    name_base(3, 2)
    name_base(2, 1)
    project.configure(cited(cycles=4))
    project.kedro("run")
    assert kept(project, "candidate") == [1, 2, 3, 4]
    project.configure(cited(cycles=6))
    project.kedro("run", f"--params=loop.stop_file=data/{ids[3]}")
    assert kept(project, "candidate") == [1, 2, 3, 5, 6]
    project.kedro("run")
    assert kept(project, "candidate") == [5, 6]


def test_a_retired_version_says_so(project):
    project.configure(cited())
    project.kedro("run")

    def notebook() -> None:
        from kedro.framework.startup import bootstrap_project

        from leagents_kedro.loop.session import CycleSession

        bootstrap_project(project.path)
        with CycleSession.create(project_path=project.path) as session:
            catalog = session.load_context().catalog
            for name in ("candidate", "head"):
                with pytest.raises(Exception, match=r"is gone: retention\.keep_last=2 let it go"):
                    catalog.load(name, version=project.rows[0]["run_id"])
            assert catalog.load("candidate") is not None

    ended = project.fork(notebook)
    assert ended.code == 0, ended.output


@pytest.fixture(scope="module")
def undisturbed(make_project):
    project = make_project()
    project.configure(cited("iterate", "promote", cycles=5))
    assert project.kedro("run", COUNT_IN=str(project.path / "count")).code == 0
    return project


@pytest.mark.parametrize("tenth", [pytest.param(n, marks=() if n == 5 else pytest.mark.slow) for n in range(11)])
def test_killed_anywhere_the_same_versions_stay(project, undisturbed, tenth):
    events = int((undisturbed.path / "count").read_text())
    project.configure(cited("iterate", "promote", cycles=5))
    kill_at = events - events * tenth // 20  # retention begins in the second half
    assert project.kedro("run", KILL_AT=str(kill_at)).code == -signal.SIGKILL
    assert project.kedro("run").code == 0
    assert project.story == undisturbed.story
    for name in ("candidate", "blessed"):
        assert kept(project, name) == kept(undisturbed, name)
        assert not (project.path / "data" / name / ".trash").exists()


def test_a_run_in_another_process_keeps_its_versions(project):
    project.configure(cited(cycles=4))
    lock = project.path / "data/.running.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        scratch = project.path / "data/workspace/training/2020-01-01T00.00.00.000Z"
        scratch.mkdir(parents=True)
        assert project.kedro("run").code == 0
        assert project.versions("workspace/training") == [scratch.name]
        assert kept(project, "candidate") == [1, 2, 3, 4]
    project.kedro("run")
    assert kept(project, "candidate") == [3, 4]
    assert project.versions("workspace/training") == []


@pytest.mark.slow
def test_what_killed_runs_left_is_deleted(project):
    project.kedro("run", "--pipelines=seed")
    assert project.kedro("run", "--to-nodes=train", KILL_IN_TRAIN="0").code == -signal.SIGKILL
    assert len(project.versions("workspace/training")) == 1
    stray = project.path / "data/candidate/2020-01-01T00.00.00.000Z/.staging-candidate"
    stray.mkdir(parents=True)
    (project.path / "data/blessed/.trash/2020").mkdir(parents=True)
    assert project.kedro("run").code == 0
    assert not stray.exists()
    assert not (project.path / "data/blessed/.trash").exists()
    assert project.versions("workspace/training") == []


@pytest.mark.parametrize(
    ("retention", "message"),
    [
        ("{keep_last: 0, keep_cited_by: []}", "retention.keep_last"),
        ("{keep_last: 1, keep_cited_by: [all]}", "retention.keep_cited_by.0"),
        ("{keep_last: 1, keep_cited_by: [], keep: 1}", "retention.keep:"),
    ],
)
def test_parameters_are_checked_before_anything_runs(project, retention, message):
    project.configure(f"retention: {retention}")
    ended = project.kedro("run")
    assert ended.code == 1
    assert f"Error: {message}" in ended.output
    assert not (project.path / "data/ledger.jsonl").exists()
