import json

import pytest


def test_no_ledger_yet(project):
    ended = project.kedro("loop", "status")
    assert ended.code == 0
    assert "has not run yet" in ended.output
    assert json.loads(project.kedro("loop", "status", "--json").output) == []


def test_the_table_tells_what_happened(project):
    project.configure("gating: {verdicts: [iterate, promote, escalate]}")
    project.kedro("run", "--params=loop.max_cycles=3")
    output = project.kedro("loop", "status").output
    digest = project.rows[3]["record"]["candidate_digest"]
    for text in (
        "run 1, closed",
        "promote",
        "escalate",
        "50% [10, 90] n=2",
        "scripted [3]",
        f"blessed: {digest[:12]} in ",
    ):
        assert text in output


def test_json_has_stable_keys(project):
    project.configure("gating: {verdicts: [stop]}")
    project.kedro("run")
    project.kedro("run", "--params=loop.after_stop=continue", FAIL_IN_DECIDE="1")
    first, second = json.loads(project.kedro("loop", "status", "--json").output)
    assert (first["run"], first["state"], second["run"], second["state"]) == (1, "closed", 2, "open")
    closed, opened = first["cycles"][0], second["cycles"][0]
    assert closed | {"run_id": "", "seconds": 0.0} == {
        "number": 1,
        "run_id": "",
        "state": "closed",
        "rung": 0,
        "decision": "stop",
        "reason": "scripted [1]",
        "candidate": {"rate": 0.5, "low": 0.1, "high": 0.9, "episodes": 2},
        "blessed": None,
        "seconds": 0.0,
    }
    unknown = dict.fromkeys(("rung", "decision", "reason", "candidate", "blessed", "seconds"))
    assert opened == {"number": 2, "run_id": project.rows[-1]["run_id"], "state": "open"} | unknown


def test_the_old_name_of_an_option_still_works_and_warns_of_nothing(project):
    ended = project.kedro("run", "--pipeline=seed")
    assert ended.code == 0
    assert "WARN" not in ended.output.upper()


def test_help_documents_the_json(project):
    assert '"candidate": SCORE' in project.kedro("loop", "status", "--help").output


@pytest.mark.parametrize("command", ["replay", "whatif"])
def test_there_is_nothing_to_replay_yet(project, command):
    assert "no decision in the ledger yet" in project.kedro("loop", command).output
    assert json.loads(project.kedro("loop", command, "--json").output) == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("training.steps=1", "Only rules of the gate can be tried on recorded outcomes: gating.*, got 'training'."),
        ("gating.alpha=0.1", "There is no rule gating.alpha of the gate; there are alpha_promote"),
    ],
)
def test_only_rules_of_the_gate_can_be_tried(project, params, message):
    ended = project.kedro("loop", "whatif", f"--params={params}")
    assert ended.code == 1
    assert f"Error: {message}" in ended.output


def test_a_ledger_without_its_outcomes_does_not_replay(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    ended = project.kedro("loop", "replay")
    assert ended.code == 1
    assert "gone" in ended.output
    assert "Error: The ledger does not follow from the recorded outcomes." in ended.output
    assert project.kedro("loop", "whatif", "--params=gating.alpha_promote=0.1").code == 0


def test_a_file_that_cannot_be_used_is_told_in_a_line(project):
    (project.path / "data/.ledger.jsonl.lock").mkdir(parents=True)
    ended = project.kedro("run")
    assert ended.code == 1
    assert "Traceback" not in ended.output
    assert f"Is a directory: '{project.path}/data/.ledger.jsonl.lock'. When this user can read" in ended.output
