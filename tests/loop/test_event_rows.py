"""Rows that need the gate's or the constitution's records; tests/loop has those of a running project."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node

from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.datasets.ledger import LedgerDataset
from leagents_kedro.errors import AwaitingApproval, ConstitutionError
from leagents_kedro.loop.events import EventHooks
from leagents_kedro.records import Comparison, Decision, Evidence, Look, Score

CONSTITUTION = Path(__file__).parents[2] / "conf" / "base" / "constitution.yml"
LOOK = Look(pairs=20, wins=9, losses=0, wins_needed=9, losses_needed=9)
BETTER = Decision(
    verdict="promote",
    reason="better",
    evidence=Evidence(
        candidate=Score(successes=9, episodes=20, low=0.2, high=0.7),
        blessed=Score(successes=0, episodes=20, low=0.0, high=0.2),
        comparison=Comparison(state="better", looks=(LOOK,), p_better=0.01, p_worse=1.0, vetoed_tasks=()),
        minimum_detectable_effect=None,
        task_scores={},
    ),
)


@pytest.fixture
def catalog(tmp_path):
    return DataCatalog({"events": LedgerDataset(str(tmp_path / "events.jsonl"))})


def run(catalog, outputs=None, error=None):
    """Let the hooks see a node run; give the rows without times."""
    node, hooks = Node(func=lambda limits: None, inputs="constitution", outputs="verdict", name="judge"), EventHooks()
    inputs = {"constitution": ConstitutionDataset(str(CONSTITUTION)).load()}
    hooks.before_node_run(node=node, catalog=catalog, run_id="id")
    if error:
        hooks.on_node_error(error=error, node=node, catalog=catalog, run_id="id")
    else:
        hooks.after_node_run(node=node, catalog=catalog, inputs=inputs, outputs=outputs, run_id="id")
    return catalog["events"].load()


def test_a_job_that_the_constitution_lets_pass_is_logged_with_its_digest(catalog):
    rows = run(catalog, {})
    assert [row["event"] for row in rows] == ["started", "allowed", "finished"]
    assert rows[1]["constitution"] == ConstitutionDataset(str(CONSTITUTION)).load().digest


def test_the_verdict_comes_with_its_looks(catalog):
    *_, look, verdict = run(catalog, {"verdict": BETTER})
    assert look["event"] == "look"
    assert {key: look[key] for key in LOOK.model_dump()} == LOOK.model_dump()
    assert (verdict["event"], verdict["verdict"], verdict["reason"]) == ("verdict", "promote", "better")


def test_the_decision_does_not_repeat_the_looks(catalog):
    assert [row["event"] for row in run(catalog, {"decision": BETTER})][3:] == ["decision"]


@pytest.mark.parametrize(
    ("error", "event"),
    [(ConstitutionError("no"), "denied"), (AwaitingApproval("wait"), "awaiting"), (ValueError("bad"), "failed")],
)
def test_why_a_job_ended_early_is_told_apart(catalog, error, event):
    last = run(catalog, error=error)[-1]
    assert (last["event"], last["node"], last["error"]) == (event, "judge", str(error))
    assert last["seconds"] >= 0
