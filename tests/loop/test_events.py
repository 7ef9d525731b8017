import json

import pytest

from leagents_kedro.foundation.redaction import redacted


def events(project):
    return [json.loads(line) for line in (project.path / "data/events.jsonl").read_text().splitlines()]


def of_node(project, node):
    return [row["event"] for row in events(project) if row.get("node") == node]


def test_nodes_and_decisions_are_logged_with_durations(project):
    ended = project.kedro("run", "--env=watched")
    assert ended.code == 0, ended.output
    rows = events(project)
    assert of_node(project, "train") == ["started", "finished"] * 2
    assert [row["verdict"] for row in rows if row["event"] == "decision"] == ["iterate", "iterate"]
    assert {row["node"] for row in rows if row.get("device")} == {"train"}
    assert all(row["seconds"] >= 0 for row in rows if row["event"] == "finished")
    assert {row["run_id"] for row in rows if row.get("device")} == {row["run_id"] for row in project.rows}


def test_rows_are_only_ever_appended(project):
    project.kedro("run", "--env=watched", "--params=loop.max_cycles=1")
    before = (project.path / "data/events.jsonl").read_bytes()
    project.kedro("run", "--env=watched")
    after = (project.path / "data/events.jsonl").read_bytes()
    assert after.startswith(before)
    assert len(after) > len(before)


def test_a_failure_is_logged_without_secrets(project):
    secrets = {"FAIL_IN_DECIDE": "hf_abcdefghijkl", "MY_PASSWORD": "correct-horse"}  # pragma: allowlist secret
    ended = project.kedro("run", "--env=watched", **secrets)
    assert "hf_abcdefghijkl" not in ended.output
    [failed] = [row for row in events(project) if row["event"] == "failed"]
    assert failed["node"] == "decide"
    assert failed["error"] == "decide was told to fail: [redacted]"


def test_the_loop_does_not_depend_on_its_log(project):
    (project.path / "data/events.jsonl").mkdir(parents=True)
    ended = project.kedro("run", "--env=watched")
    assert ended.code == 0, ended.output
    assert "The event log misses a row" in ended.output
    assert len(project.rows) == 4


def test_without_an_entry_nothing_is_logged(project):
    ended = project.kedro("run")
    assert "event log" not in ended.output
    assert not (project.path / "data/events.jsonl").exists()


@pytest.mark.parametrize(
    "secret",
    ["hf_abcdefghijklmnop", "ghp_0123456789abcdef", "sk-0123456789abcdef", "github_pat_0123456789", "name:word1234"],
)
def test_tokens_are_redacted(secret):
    text = f"cannot open https://{secret}@example.org"
    assert redacted(text) == "cannot open https://[redacted]@example.org"


def test_values_of_secret_variables_are_redacted_and_other_text_stays(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abcdefghij")
    assert redacted("0123456789, abcdefghij at https://example.org:80/a@b") == (
        "[redacted], [redacted] at https://example.org:80/a@b"
    )
