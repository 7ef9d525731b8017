import re
from pathlib import Path

import pytest


def told(output: str) -> list[str]:
    """What a command says, without times, versions, and the project's folder."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d.]+Z", "VERSION", output)
    return [re.sub(r"^INFO | \([\d.]+ s\)|, [\d.]+ min$|/\S*/(?=knowledge)", "", line) for line in text.splitlines()]


def test_a_cycle_tells_its_steps_and_its_decision_as_they_fall(project):
    project.configure("{gating: {verdicts: [promote]}, loop: {max_cycles: 1}}")
    lines = told(project.kedro("run").output)
    [digest] = {line.split()[-1] for line in lines if line.startswith("  train: ")}
    assert lines[: lines.index("Cycle 1 is closed: promote") + 1] == [
        "The loop runs cycles until the gate or a budget ends it; Ctrl-C stops, the same command goes on.",
        "Checking what the next cycle needs: torch, LeRobot, and the simulator are imported.",
        "Pipeline seed, 1 node, version VERSION",
        "  seed_mix: 1 episode of 1 task",
        "    read nothing",
        "    wrote mix VERSION",
        "Cycle 1 begins, version VERSION, starts from mix of VERSION (no blessed, head yet)",
        "  propose: rung 0, 1 step from scratch: blessed is None",
        "  merge: 2 episodes of 2 tasks",
        "training",
        f"  train: act at step 1, digest {digest}",
        "  decide: PROMOTE. candidate 50% [10, 90] n=2. scripted [1]",
        "  write_page: knowledge/experiments/VERSION.md",
        "Cycle 1 is closed: promote",
    ]


def test_a_cycle_that_goes_on_says_what_was_done_before(project):
    assert project.kedro("run", FAIL_IN_DECIDE="1").code == 1
    assert "  done before: propose, merge, train" in told(project.kedro("run", "--params=loop.max_cycles=1").output)


def test_what_is_run_by_hand_says_what_it_reads_and_writes(project):
    project.kedro("run", "--params=loop.max_cycles=1")
    lines = told(project.kedro("run", "--nodes=merge").output)
    assert lines[:4] == [
        "Pipeline __default__, 1 node, version VERSION",
        "  merge: done",
        "    read mix VERSION, plan VERSION",
        "    wrote next_mix VERSION",
    ]
    again = project.kedro("run", "--nodes=merge", "--only-missing-outputs")
    assert "  nothing to do: every output exists" in told(again.output)


def test_the_log_can_be_quiet(project):
    logging = Path(project.path / "conf/logging.yml")
    logging.write_text(logging.read_text().replace("leagents_kedro: {level: INFO}", "leagents_kedro: {level: WARNING}"))
    output = project.kedro("run", "--params=loop.max_cycles=1").output
    assert [line for line in output.splitlines() if line.startswith("INFO")] == []
    assert "No further cycle" in output


@pytest.mark.slow
def test_the_closing_table_shows_the_last_cycles(project):
    project.kedro("run", "--params=loop.max_cycles=22")
    ended = project.kedro("run", "--params=loop.max_cycles=22")
    assert "the last 20 of 22 cycles; `kedro loop status --all` shows all" in ended.output
    assert next(line.split()[0] for line in ended.output.splitlines() if " closed " in line) == "3"
