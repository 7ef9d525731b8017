import json
import signal

import pytest

BY = ["--by", "Ada"]


@pytest.fixture(scope="module")
def once_stuck(make_project):
    project = make_project()
    project.configure("gating: {verdicts: [promote]}")
    assert project.kedro("run", "--params=loop.max_cycles=1").code == 0
    assert project.kedro("run", "--env=watched", FAIL_IN_DECIDE="1").code == 1
    return project


@pytest.fixture
def stuck(make_project, once_stuck):
    """A project whose second cycle fails in its decision, again and again."""
    return make_project(once_stuck)


def test_the_next_cycle_goes_on_from_the_last_closed_one(stuck):
    stuck_id = stuck.rows[-1]["run_id"]
    assert stuck_id in stuck.versions("candidate")
    ended = stuck.kedro("loop", "abandon", "2", *BY, "--note", "it diverges")
    assert ended.code == 0, ended.output
    assert not list(stuck.path.glob(f"data/*/{stuck_id}/[!.]*"))
    assert stuck.kedro("run").code == 0
    *_, opened, abandoned, third, closed = stuck.rows
    assert (abandoned["event"], abandoned["cycle"], abandoned["run_id"]) == ("abandoned", 2, stuck_id)
    assert (abandoned["by"], abandoned["note"]) == ("Ada", "it diverges")
    assert (third["cycle"], closed["cycle"], closed["record"]["plan"]["cycle"]) == (3, 3, 3)
    inputs = ("mix", "head", "blessed")
    assert {name: third["pins"][name] for name in inputs} == {name: opened["pins"][name] for name in inputs}
    assert not list(stuck.path.glob("data/*/.trash"))
    assert stuck.versions("workspace/training") == []


def test_its_versions_say_that_they_were_abandoned(stuck):
    stuck.kedro("loop", "abandon", "2", *BY)

    def notebook() -> None:
        from kedro.framework.startup import bootstrap_project

        from leagents_kedro.loop.session import CycleSession

        bootstrap_project(stuck.path)
        with CycleSession.create(project_path=stuck.path) as session:
            for name in ("candidate", "head"):
                with pytest.raises(Exception, match="is gone: Ada abandoned cycle 2"):
                    session.load_context().catalog.load(name, version=stuck.rows[-1]["run_id"])

    ended = stuck.fork(notebook)
    assert ended.code == 0, ended.output


def test_status_shows_it(stuck):
    stuck.kedro("loop", "abandon", "2", *BY, "--note", "it diverges")
    [run] = json.loads(stuck.kedro("loop", "status", "--json").output)
    assert [cycle["state"] for cycle in run["cycles"]] == ["closed", "abandoned"]
    assert run["cycles"][1]["reason"] == "abandoned by Ada: it diverges"
    assert "abandoned by Ada: it diverges" in stuck.kedro("loop", "status").output


@pytest.mark.parametrize(("cycle", "message"), [("1", "Cycle 1 is not open; cycle 2 is."), ("x", "Cycle x is not")])
def test_only_the_open_cycle_can_be_abandoned(stuck, cycle, message):
    before = stuck.rows
    ended = stuck.kedro("loop", "abandon", cycle, *BY)
    assert ended.code == 1
    assert f"Error: {message}" in ended.output
    assert stuck.rows == before


def test_a_closed_or_an_abandoned_cycle_cannot_be_abandoned(stuck):
    stuck.kedro("loop", "abandon", "2", *BY)
    ended = stuck.kedro("loop", "abandon", "2", *BY)
    assert ended.code == 1
    assert "Cycle 2 is not open; no cycle is." in ended.output


def test_nobody_abandons_a_cycle_that_is_running(stuck):
    import fcntl

    with (stuck.path / "data/.ledger.jsonl.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = stuck.kedro("loop", "abandon", "2", *BY)
    assert ended.code == 1
    assert "another driver of the loop holds the ledger" in ended.output


@pytest.mark.parametrize(
    "kill_at", [pytest.param(n, marks=() if n == 19 else pytest.mark.slow) for n in range(1, 40, 3)]
)
def test_killed_while_it_is_abandoned_no_later_cycle_sees_it(stuck, kill_at):
    stuck_id = stuck.rows[-1]["run_id"]
    killed = stuck.kedro("loop", "abandon", "2", *BY, KILL_AT=str(kill_at))
    if killed.code == -signal.SIGKILL and stuck.rows[-1]["event"] == "opened":
        assert stuck.kedro("loop", "abandon", "2", *BY).code == 0
    assert stuck.kedro("run").code == 0
    assert [row["event"] for row in stuck.rows].count("abandoned") == 1
    assert stuck_id not in stuck.rows[-2]["pins"].values()
    left = [path for path in stuck.path.glob(f"data/*/{stuck_id}*") if path.is_dir()]
    assert left == []
    assert not list(stuck.path.glob("data/*/.trash"))


def test_what_a_killed_attempt_cost_is_charged(project):
    project.kedro("run", KILL_IN_TRAIN="0.3")
    project.kedro("loop", "abandon", "1", *BY)
    opened, charged, abandoned = project.ledger
    assert [row["event"] for row in project.ledger] == ["opened", "charged", "abandoned"]
    assert charged["run_id"] == opened["run_id"] == abandoned["run_id"]
    assert 0.2 < charged["device_seconds"] < 60
    ended = project.kedro("run", "--params=loop.max_gpu_hours=0.00001")
    assert "used the device" in ended.output
    assert len(project.rows) == 2


def test_a_link_that_leads_nowhere_does_not_keep_a_killed_cycle_open(project):
    project.kedro("run", KILL_IN_TRAIN="0.3")
    (workspace,) = project.path.glob("data/workspace/training/*")
    (workspace / "last").symlink_to("gone")
    ended = project.kedro("loop", "abandon", "1", *BY)
    assert ended.code == 0, ended.output
    assert [row["event"] for row in project.ledger] == ["opened", "charged", "abandoned"]
