import json

import pytest


@pytest.fixture(scope="module")
def once_waiting(make_project):
    project = make_project()
    project.configure("gating: {approval: human, verdicts: [promote]}")
    ended = project.kedro("run")
    assert ended.code == 0, ended.output
    assert "awaiting approval of cycle 1: kedro loop approve 1 --by NAME" in ended.output
    assert "Traceback" not in ended.output
    assert "failed" not in ended.output
    assert [row["event"] for row in project.rows] == ["opened"]
    return project


@pytest.fixture
def waiting(make_project, once_waiting):
    """A project whose first promotion waits for a person."""
    return make_project(once_waiting)


def test_a_promotion_waits_until_it_is_approved(waiting):
    again = waiting.kedro("run")
    assert again.code == 0
    assert "awaiting approval of cycle 1" in again.output
    assert "awaiting approval" in waiting.kedro("loop", "status").output
    [run] = json.loads(waiting.kedro("loop", "status", "--json").output)
    assert run["cycles"][0]["state"] == "awaiting approval"

    approved = waiting.kedro("loop", "approve", "1", "--by", "Ada", "--note", "looks good")
    assert approved.code == 0, approved.output
    assert waiting.kedro("run").code == 0
    answer, closed = waiting.rows[1:3]
    assert answer | {"at": ""} == {"event": "approved", "cycle": 1, "by": "Ada", "note": "looks good", "at": ""}
    assert closed["record"]["decision"]["verdict"] == "promote"
    assert closed["record"]["decision"]["reason"] == "scripted [1] Approved by Ada (looks good)."
    assert waiting.trainings == ["1", "2"]


def test_a_rejected_promotion_iterates_and_says_who_and_why(waiting):
    assert waiting.kedro("loop", "reject", "1", "--by", "Grace", "--note", "it shakes").code == 0
    assert waiting.kedro("run", "--params=loop.max_cycles=1").code == 0
    decision = waiting.rows[2]["record"]["decision"]
    assert decision["verdict"] == "iterate"
    assert decision["reason"] == "Grace rejected the promotion (it shakes). The gate had said: scripted [1]"
    assert waiting.kedro("loop", "status", "--json").code == 0


def test_a_stop_that_blesses_waits_as_a_promotion_does(project):
    project.configure("gating: {approval: human, verdicts: [stop]}")
    assert "awaiting approval of cycle 1" in project.kedro("run").output
    assert project.kedro("loop", "approve", "1", "--by", "Ada").code == 0
    ended = project.kedro("run")
    assert "cycle 1 said stop: scripted [1] Approved by Ada." in ended.output
    assert f"blessed: {project.rows[-1]['record']['candidate_digest'][:12]}" in ended.output


def test_every_other_verdict_goes_on_by_itself(project):
    project.configure("gating: {approval: human, verdicts: [iterate, rollback]}")
    assert project.kedro("run").code == 0
    assert len(project.rows) == 4


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["approve", "2"], "Cycle 2 is not awaiting approval; cycle 1 is."),
        (["reject", "one"], "Cycle one is not awaiting approval"),
        (["reject", "constitution"], "cannot be rejected"),
        (["approve", "constitution"], "there is nothing to approve"),
        (["approve", "1", "--by", ""], "answer.by: String should have at least 1 character"),
    ],
)
def test_what_is_not_asked_cannot_be_answered(waiting, command, message):
    ended = waiting.kedro("loop", *command, *([] if "--by" in command else ["--by", "Ada"]))
    assert ended.code == 1
    assert message in ended.output
    assert "Traceback" not in ended.output
    assert len(waiting.rows) == 1


def test_a_promotion_is_answered_once(waiting):
    assert waiting.kedro("loop", "approve", "1", "--by", "Ada").code == 0
    second = waiting.kedro("loop", "reject", "1", "--by", "Grace")
    assert second.code == 1
    assert "no cycle is" in second.output


def test_the_parameters_that_a_cycle_was_opened_with_say_who_decides(waiting):
    ended = waiting.kedro("run", "--params=gating.approval=auto")
    assert "awaiting approval of cycle 1" in ended.output


def test_the_constitution_is_recorded_and_its_change_waits_for_approval(project):
    project.configure("gating: {approval: human}")
    command = ("run", "--env=governed")
    (project.path / "conf/governed/parameters.yml").write_text("gating: {approval: human}")
    project.kedro(*command, "--params=loop.max_cycles=1")
    assert len(project.rows[0]["constitution"]) == 64
    path = project.path / "conf/governed/constitution.yml"
    path.write_text(path.read_text().replace("hub_push: false", "hub_push: true"))
    ended = project.kedro(*command)
    assert ended.code == 0
    assert "No further cycle: the constitution changed; awaiting its approval" in ended.output
    assert len(project.rows) == 2
    approved = project.kedro("loop", "approve", "constitution", "--env=governed", "--by", "Ada")
    assert approved.code == 0, approved.output
    project.kedro(*command)
    assert [row["event"] for row in project.rows] == ["opened", "closed", "approved", "opened", "closed"]
    assert project.rows[3]["constitution"] == project.rows[2]["constitution"] != project.rows[0]["constitution"]


def test_without_approval_a_changed_constitution_is_in_force_at_once(project):
    project.kedro("run", "--env=governed", "--params=loop.max_cycles=1")
    path = project.path / "conf/governed/constitution.yml"
    path.write_text(path.read_text().replace("hub_push: false", "hub_push: true"))
    project.kedro("run", "--env=governed")
    assert len(project.rows) == 4


def test_what_is_to_be_typed_names_the_environment_and_the_configuration(waiting):
    assert "loop approve 1 --by NAME --env=fast (or reject)" in waiting.kedro("run", "--env=fast").output
    moved = (waiting.path / "conf").rename(waiting.path / "conf 2")
    ended = waiting.kedro("loop", "approve", "1", "--by", "Ada", "--env=fast", "--conf-source=conf 2")
    assert ended.code == 0, ended.output
    assert f"`kedro run --env=fast --conf-source='{moved}'` goes on." in ended.output
