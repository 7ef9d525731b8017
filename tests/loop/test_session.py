import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from leagents_kedro.history.history import History


def test_a_fresh_project_seeds_once_and_repeats_until_the_budget_is_spent(project):
    ended = project.kedro("run", "--pipelines=cycle", "--params=loop.max_cycles=3")
    assert ended.code == 0, ended.output
    assert "No further cycle: run 1 has its 3 cycles" in ended.output
    assert [(row["event"], row["cycle"]) for row in project.rows] == [
        (event, cycle) for cycle in (1, 2, 3) for event in ("opened", "closed")
    ]
    run_ids = [row["run_id"] for row in project.rows[::2]]
    assert project.versions("candidate") == run_ids
    assert project.versions("mix.json")[1:] == run_ids  # the seed's version is the oldest
    assert [row["record"]["mix_episodes"] for row in project.rows[1::2]] == [1, 2, 3]
    assert project.trainings == ["1", "2", "3"]


def test_inputs_without_a_version_are_pinned_to_none_and_load_as_none(project):
    project.configure("gating: {verdicts: [promote]}")
    project.kedro("run")
    first, second = project.rows[0], project.rows[2]
    assert (first["pins"]["blessed"], first["pins"]["head"]) == ("none", "none")
    assert project.rows[1]["record"]["plan"]["reason"] == "blessed is None"
    assert second["pins"]["blessed"] == second["pins"]["head"] == first["run_id"]
    assert second["pins"]["next_blessed"] == second["run_id"]
    assert "training_workspace" not in second["pins"]


def test_the_command_does_nothing_more_once_the_budget_is_spent(project):
    project.kedro("run")
    before = project.rows
    ended = project.kedro("run")
    assert ended.code == 0
    assert "No further cycle" in ended.output
    assert project.rows == before


def test_budgets_can_be_raised_later(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    project.kedro("run", "--params=loop.max_cycles=2")
    assert len(project.rows) == 4


EVENTS_OF_TWO_CYCLES = 360  # or some less


@pytest.fixture(scope="module")
def undisturbed(make_project):
    project = make_project()
    count = project.path / "count"
    assert project.kedro("run", COUNT_IN=str(count)).code == 0
    assert EVENTS_OF_TWO_CYCLES - 20 <= int(count.read_text()) <= EVENTS_OF_TWO_CYCLES
    return project


@pytest.fixture
def after_two_cycles(make_project, undisturbed):
    return make_project(undisturbed)


@pytest.fixture(scope="module")
def undisturbed_story(undisturbed) -> str:
    return undisturbed.story


@pytest.mark.parametrize(
    "kill_at",
    [pytest.param(n, marks=() if n % 128 == 1 else pytest.mark.slow) for n in range(1, EVENTS_OF_TWO_CYCLES + 1, 4)],
)
def test_killed_anywhere_and_run_again_the_ledger_is_that_of_an_undisturbed_loop(project, undisturbed_story, kill_at):
    assert project.kedro("run", KILL_AT=str(kill_at)).code in {-signal.SIGKILL, 0}
    ended = project.kedro("run")
    assert ended.code == 0, ended.output
    assert project.story == undisturbed_story
    assert len(project.trainings) <= 3
    assert project.versions("workspace/training") == []


@pytest.mark.slow
def test_killed_again_and_again(project, undisturbed_story):
    for kill_at in range(20, 100, 7):
        assert project.kedro("run", KILL_AT=str(kill_at)).code in {-signal.SIGKILL, 0}
    assert project.kedro("run").code == 0
    assert project.story == undisturbed_story


def test_a_torn_last_row_is_no_row(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    ledger = project.path / "data/ledger.jsonl"
    with ledger.open("a") as file:
        file.write('{"event": "opened", "cyc')
    assert project.kedro("run").code == 0
    assert [row["cycle"] for row in project.rows] == [1, 1, 2, 2]


def test_a_damaged_ledger_stops_the_loop_with_the_line(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    ledger = project.path / "data/ledger.jsonl"
    ledger.write_text("{torn\n" + ledger.read_text())
    ended = project.kedro("run")
    assert ended.code == 1
    assert re.search(r"Error: .*ledger.jsonl, line 1: expected a JSON object", ended.output)
    assert "Traceback" not in ended.output


def test_a_failed_cycle_is_resumed_under_its_own_id_and_parameters(project):
    failed = project.kedro("run", "--params=training.steps=5", FAIL_IN_DECIDE="1")
    assert failed.code == 1
    assert "decide was told to fail" in failed.output
    assert "Cycle 1 stays open; the same command goes on with it" in failed.output
    resumed = project.kedro("run", "--params=training.steps=6")
    assert resumed.code == 0, resumed.output
    assert "Cycle 1 goes on with the parameters that it was opened with" in resumed.output
    assert "training.steps" in resumed.output
    assert [row["record"]["plan"]["training_steps"] for row in project.rows[1::2]] == [5, 6]
    assert project.trainings == ["1", "2"]  # the candidate was published, so it is not trained again


def test_parameters_of_an_environment_are_merged_key_by_key(project):
    project.kedro("run", "--env=fast", "--params=loop.max_cycles=1")
    assert project.rows[0]["params"]["training"] == {"steps": 7, "batch": 8}
    assert project.rows[1]["record"]["plan"]["training_steps"] == 7


def test_only_parameters_that_nodes_get_are_recorded(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    assert project.rows[0]["params"] == {
        "gating": {"approval": "auto", "verdicts": []},
        "training": {"steps": 1, "batch": 8},
    }


def test_the_commit_is_recorded(project):
    for command in ("init -q", "add -A", "-c user.name=n -c user.email=e commit -q -m initial"):
        subprocess.run(["git", *command.split()], cwd=project.path, check=True)
    project.kedro("run", "--params=loop.max_cycles=1")
    with (project.path / "conf/base/parameters.yml").open("a") as file:
        file.write("# edited\n")
    project.kedro("run", "--params=loop.max_cycles=2")
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project.path, text=True).strip()
    assert [row["code"] for row in project.rows[::2]] == [commit, f"{commit}-dirty"]


def test_one_driver_at_a_time(project):
    import fcntl

    lock = project.path / "data/.ledger.jsonl.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        file.write("pid 4711 on somewhere")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = project.kedro("run")
    assert ended.code == 1
    assert "another driver of the loop holds the ledger (pid 4711 on somewhere)" in ended.output
    assert not (project.path / "data/ledger.jsonl").exists()


def test_a_run_id_is_greater_than_all_before_although_the_clock_was_set_back(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    plain, first = project.path / "data/candidate", project.rows[0]["run_id"]
    shutil.copytree(plain / first, plain / "2999-12-31T23.59.59.999Z")
    project.kedro("run")
    assert project.rows[2]["run_id"] == "3000-01-01T00.00.00.000Z"
    assert project.rows[2]["pins"]["head"] == first


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["--pipelines=other"], {"candidate": 3}),
        (["--from-nodes=decide"], {"candidate": 2, "decision.json": 3, "blessed": 3, "cycle_record.json": 3}),
        (["--to-nodes=train"], {"candidate": 3, "plan.json": 3, "decision.json": 2}),
        (["--tags=heavy"], {"candidate": 3, "plan.json": 2}),
        (["--nodes=merge"], {"mix.json": 4, "plan.json": 2}),
        (["--pipelines=seed"], {"mix.json": 4}),
    ],
)
def test_slices_and_other_pipelines_run_once_on_latest_versions(after_two_cycles, arguments, written):
    project = after_two_cycles
    before = project.rows
    ended = project.kedro("run", *arguments)
    assert ended.code == 0, ended.output
    assert {name: len(project.versions(name)) for name in written} == written
    assert project.rows == before


def test_a_slice_reads_the_latest_versions(after_two_cycles):
    project = after_two_cycles
    project.kedro("run", "--nodes=merge")
    newest = project.versions("mix.json")[-1]
    mix = json.loads((project.path / f"data/mix.json/{newest}/mix.json").read_text())
    assert list(mix["episodes"]) == ["seed", "cycle 1", "cycle 2"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_loop_says_how_to_go_on(project, number, code):
    command, paused = [sys.executable, "-m", "kedro", "run"], os.environ | {"PAUSE_IN_TRAIN": "60"}
    with subprocess.Popen(
        command, env=paused, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as loop:
        while loop.stdout.readline() != "training\n":
            assert loop.poll() is None
        time.sleep(0.3)
        loop.send_signal(number)
        output, _ = loop.communicate(timeout=60)
    assert loop.returncode == code
    assert "run the same command to go on" in output
    assert "Traceback" not in output
    assert [row["event"] for row in project.ledger] == ["opened", "charged"]
    assert 0.3 <= project.ledger[-1]["device_seconds"] < 60
    assert project.kedro("run").code == 0
    assert len(project.rows) == 4


def test_one_session_can_run_twice_in_a_notebook(project):
    def notebook() -> None:
        from kedro.framework.startup import bootstrap_project

        from leagents_kedro.loop.session import CycleSession

        bootstrap_project(project.path)
        with CycleSession.create(project_path=project.path) as session:
            for budget in (1, 2):
                session.run(pipeline_names=["cycle"], runtime_params={"loop": {"max_cycles": budget}})

    ended = project.fork(notebook)
    assert ended.code == 0, ended.output
    assert len(project.rows) == 4


def test_a_session_whose_output_nobody_reads_goes_on(project):
    def script() -> None:
        from kedro.framework.startup import bootstrap_project

        from leagents_kedro.loop.session import CycleSession

        bootstrap_project(project.path)
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(reader)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as Python opens it
        with CycleSession.create(project_path=project.path) as session:
            session.run(runtime_params={"loop": {"max_cycles": 1}})

    ended = project.fork(script)
    assert ended.code == 0, ended.output
    assert project.rows[-1]["event"] == "closed"


def test_a_notebook_gets_the_named_error(project):
    def notebook() -> None:
        from kedro.framework.startup import bootstrap_project

        from leagents_kedro.errors import ParameterError
        from leagents_kedro.loop.session import CycleSession

        bootstrap_project(project.path)
        with CycleSession.create(project_path=project.path) as session:
            for names in (["cycle"], ["other"]):
                with pytest.raises(ParameterError, match=r"training\.stepz"):
                    session.run(pipeline_names=names, runtime_params={"training": {"stepz": 1}})

    ended = project.fork(notebook)
    assert ended.code == 0, ended.output


def test_ipython_extension_loads_the_session(project):
    def notebook() -> None:
        from IPython.testing.globalipapp import start_ipython
        from kedro.ipython import load_ipython_extension

        shell = start_ipython()
        load_ipython_extension(shell)
        assert type(shell.user_ns["session"]).__name__ == "CycleSession"
        assert shell.user_ns["catalog"]["ledger"].load() == History(())

    ended = project.fork(notebook)
    assert ended.code == 0, ended.output


@pytest.mark.parametrize(
    "command", [["catalog", "describe-datasets"], ["catalog", "resolve-patterns"], ["registry", "list"]]
)
def test_commands_of_kedro_work_with_this_session(project, command):
    ended = project.kedro(*command)
    assert ended.code == 0, ended.output
    assert "cycle" in ended.output


def test_nothing_heavy_is_imported_for_a_command():
    code = (
        "import sys; from leagents_kedro import settings, cli, pipeline_registry; "
        "from leagents_kedro.datasets import checkpoint, ledger, page, published, record, workspace; "
        "print(sys.modules.keys() & {'torch', 'lerobot', 'mujoco', 'pandas'})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.parametrize("place", ["data", pytest.param("data/ledger.jsonl", marks=pytest.mark.slow)])
def test_a_ledger_that_is_gone_meanwhile_is_told(project, place):
    """As after `git clean -x`, at which no lock helps."""
    ended = project.kedro("run", CLEAN_IN_TRAIN=place)
    assert ended.code == 1
    assert f"{project.path}/data: the ledger does not know cycle 1" in ended.output
    assert "deleted or replaced meanwhile" in ended.output
    assert "stays open" not in ended.output
    assert not (project.path / "data/ledger.jsonl").exists()


def test_a_ledger_of_another_type_is_refused(project):
    (project.path / "conf/local/catalog.yml").write_text("ledger: {type: MemoryDataset}")
    ended = project.kedro("run")
    assert ended.code == 1
    assert "'ledger' should be a leagents_kedro.datasets.history.HistoryDataset" in ended.output
