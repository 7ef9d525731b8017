import json


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


def test_help_documents_the_json(project):
    assert '"candidate": SCORE' in project.kedro("loop", "status", "--help").output
