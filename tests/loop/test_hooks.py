import json

import pytest


def test_escalation_hands_over_once_and_the_next_command_goes_on(project):
    project.configure("{gating: {verdicts: [escalate]}, loop: {max_cycles: 1}}")
    first = project.kedro("run")
    assert "cycle 1 said escalate: scripted [1]" in first.output
    assert len(project.rows) == 2
    second = project.kedro("run")
    assert "run 2 has its 1 cycles" in second.output
    plans = [row["record"]["plan"] for row in project.rows[1::2]]
    assert [(plan["cycle"], plan["run"], plan["rung"]) for plan in plans] == [(1, 1, 0), (2, 2, 1)]


def test_climbing_goes_on_by_itself(project):
    project.configure("gating: {verdicts: [escalate]}")
    project.kedro("run", "--params=loop.on_escalate=climb")
    assert [row["record"]["plan"]["run"] for row in project.rows[1::2]] == [1, 2, 2]


def test_stop_ends_the_loop_until_told_otherwise(project):
    project.configure("gating: {verdicts: [stop, stop]}")
    for _ in range(2):
        ended = project.kedro("run")
        assert ended.code == 0
        assert "--params=loop.after_stop=continue" in ended.output
        assert len(project.rows) == 2
    again = project.kedro("run", "--params=loop.after_stop=continue")
    assert "cycle 2 said stop" in again.output
    first, second = (row["record"] for row in project.rows[1::2])
    assert (first["blessed_digest"], second["blessed_digest"]) == (None, first["candidate_digest"])
    assert "blessed: " + first["candidate_digest"][:12] in again.output, "the second stop blesses nothing"


def test_a_stop_file_ends_the_loop_before_the_next_cycle(project):
    stop = project.path / "data/STOP"
    stop.parent.mkdir()
    stop.touch()
    ended = project.kedro("run")
    assert ended.code == 0
    assert f"delete {stop}" in ended.output.replace("\n", "")
    assert not (project.path / "data/mix.json").exists()
    stop.unlink()
    project.kedro("run")
    assert len(project.rows) == 4


def test_kedro_viz_shows_the_last_whole_cycle(project):
    settings = project.path / "src/loop_project/settings.py"
    settings.write_text(settings.read_text().replace('"kedro_viz", "kedro-viz", ', ""))
    assert project.kedro("run").code == 0
    assert len(project.rows) == 4
    view = project.path / ".viz/kedro_pipeline_events.json"
    text = view.read_text()
    for part in ("--pipelines=seed", "--nodes=decide"):
        assert "Workflow tracking" not in project.kedro("run", part).output
        assert view.read_text() == text
    events = json.loads(text)
    assert [event["event"] for event in events if "pipeline" in event["event"]] == [
        "before_pipeline_run",
        "after_pipeline_run",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--params=trainng.steps=1"], "There is no parameter 'trainng'"),
        (["--params=trainng.steps=1"], "Did you mean 'training'?"),
        (["--params=loop.max_cycels=1"], "loop.max_cycels"),
        (["--params=loop.max_cycles=0"], "loop.max_cycles"),
        (["--pipelines=seed", "--params=loop.run_sed=1"], "loop.run_sed"),
        (["--params=training.stepz=1"], "training.stepz: Extra inputs are not permitted"),
        (["--params=training.steps=few"], "training.steps: Input should be a valid integer"),
        (["--pipelines=other", "--params=training.stepz=1"], "training.stepz"),
        (["--pipelines=seed", "--params=loop.max_cycles=0"], "loop.max_cycles"),
        (["--pipelines=cylce"], "There is no pipeline 'cylce'; there are __default__, cycle, other, seed"),
        (["--env=fats"], "Did you mean 'fast'?"),
        (["--env=fats"], "base, fast, governed, local, watched"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_runs(project, arguments, message):
    ended = project.kedro("run", *arguments)
    assert ended.code == 1
    [line] = ended.output.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert not (project.path / "data").exists()
