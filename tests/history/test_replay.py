"""A ledger whose decisions the gate really made, replayed from its outcomes."""

import json

import pytest

from leagents_kedro.errors import ParameterError
from leagents_kedro.gate import verdict as gate
from leagents_kedro.gate.rules import GateRules
from leagents_kedro.history.history import History
from leagents_kedro.history.replay import as_json, replay
from leagents_kedro.records import CycleRecord, Outcome, Outcomes, Plan
from support.parameters import base_parameters

GATING = base_parameters("gating", max_pairs=40, look_every=20, target=None)
AT = "2026-01-01T00:00:00+00:00"


def episodes(successes, count=40):
    return tuple(
        Outcome(task="push", seed=seed, success=seed < successes, sum_reward=0.0, length=1) for seed in range(count)
    )


MEASURED = {
    "id-1": Outcomes(
        protocol="p", environment="e", candidate_digest="a", blessed_digest=None, candidate=episodes(10), blessed=()
    ),
    "id-2": Outcomes(
        protocol="p",
        environment="e",
        candidate_digest="b",
        blessed_digest="a",
        candidate=episodes(14),
        blessed=episodes(10),
    ),
    "id-3": Outcomes(
        protocol="p",
        environment="e",
        candidate_digest="c",
        blessed_digest="a",
        candidate=episodes(30),
        blessed=episodes(10),
    ),
}


def decided(measured, gating=GATING):
    """Return the rows of a ledger whose cycles ``measured`` that, and were decided by these parameters."""
    rows: list[dict] = []
    rules = GateRules(**{name: rule for name, rule in gating.items() if name in GateRules.model_fields})
    params = {"gating": gating, "training": {"ladder": [{}, {}]}}
    for cycle, (run_id, outcomes) in enumerate(measured.items(), start=1):
        before = History.of(rows).cycles
        decision = gate.decide(outcomes, ["push"], before, rules, last_rung=False, rung=0)
        record = CycleRecord(
            plan=Plan(cycle=cycle, run=1, rung=0, initial="scratch", training_steps=1, reason=""),
            decision=decision,
            candidate_digest=outcomes.candidate_digest,
            blessed_digest=outcomes.blessed_digest,
            mix_episodes=1,
            selected_episodes=1,
            evaluated_episodes=40,
            new_episodes=0,
        )
        common = {"cycle": cycle, "run_id": run_id, "at": AT}
        rows.append({"event": "opened", "pins": {}, "params": params, "code": None} | common)
        rows.append({"event": "closed", "seconds": 1.0, "record": record.model_dump(mode="json")} | common)
    return json.loads(json.dumps(rows))  # as the ledger gives them back


@pytest.fixture
def rows():
    return decided(MEASURED)


def replayed(rows, changes=None, outcomes=MEASURED, last=None):
    return replay(History.of(rows), outcomes.get, changes, last)


def test_recorded_outcomes_give_the_recorded_decisions(rows):
    decisions = replayed(rows)
    assert [decision.recorded for decision in decisions] == ["promote", "iterate", "promote"]
    assert [decision.recomputed for decision in decisions] == ["promote", "iterate", "promote"]
    assert not any(decision.differences for decision in decisions)
    assert json.loads(as_json(decisions))[0]["differences"] == []


def test_the_last_decisions_are_replayed_on_all_that_was_before(rows):
    rows[3]["record"]["decision"]["reason"] = "edited"
    assert replayed(rows, last=2) == replayed(rows)[1:]
    assert replayed(rows, last=9) == replayed(rows)


def test_an_edited_decision_is_found(rows):
    rows[3]["record"]["decision"]["verdict"] = "rollback"
    [difference] = replayed(rows)[1].differences
    assert difference == "verdict: recorded 'rollback', recomputed 'iterate'"


def test_edited_outcomes_are_found(rows):
    better = MEASURED["id-2"].model_copy(update={"candidate": episodes(15)})
    differences = replayed(rows, outcomes=MEASURED | {"id-2": better})[1].differences
    assert "evidence.candidate" in differences


def test_outcomes_that_are_gone_are_a_difference(rows):
    decision = replayed(rows, outcomes={key: MEASURED[key] for key in ("id-1", "id-3")})[1]
    assert decision.recomputed is None
    assert decision.differences == ("the outcomes of id-2 are gone",)


def test_a_rejected_promotion_is_replayed_with_its_answer(rows):
    answer = {"event": "rejected", "cycle": 3, "by": "Ada", "note": None, "at": AT}
    assert replayed([*rows[:5], answer, rows[5]])[2].recomputed == "iterate"


AT_TARGET = GATING | {"target": 0.9}
FIRST = {"id-1": MEASURED["id-1"].model_copy(update={"candidate": episodes(40)})}


def test_a_first_blessing_from_before_it_could_stop_the_loop_is_replayed_as_it_was_decided():
    rows = decided(FIRST, {name: rule for name, rule in AT_TARGET.items() if name != "first_blessing_may_stop"})
    [decision] = replayed(rows, outcomes=FIRST)
    assert (decision.recorded, decision.recomputed, decision.differences) == ("promote", "promote", ())
    assert replayed(rows, {"first_blessing_may_stop": True}, FIRST)[0].recomputed == "stop"


@pytest.mark.parametrize(("event", "verdict"), [("approved", "stop"), ("rejected", "iterate")])
def test_a_first_blessing_that_stopped_the_loop_is_replayed_with_its_answer(event, verdict):
    opened, closed = decided(FIRST, AT_TARGET)
    assert replayed([opened, closed], outcomes=FIRST)[0].recomputed == "stop"
    answer = {"event": event, "cycle": 1, "by": "Ada", "note": None, "at": AT}
    [decision] = replayed([opened, answer, closed], outcomes=FIRST)
    assert decision.recomputed == verdict
    assert ("rejected the blessing" in decision.differences[-1]) == (event == "rejected")


def test_other_rules_change_the_decisions_that_they_would_change(rows):
    decisions = replayed(rows, {"floor": 0.5})
    assert [decision.recomputed for decision in decisions] == ["iterate", "iterate", "promote"]
    assert decisions[0].differences[0] == "verdict: recorded 'promote', recomputed 'iterate'"


def test_a_rule_that_needs_more_episodes_has_no_answer(rows):
    decision = replayed(rows, {"max_pairs": 200, "futility_power": 0.0})[1]
    assert decision.recomputed is None
    assert "unfinished after 40 pairs" in decision.differences[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha_promot": 0.1}, "no rule gating.alpha_promot"),
        ({"approval": "human"}, "no rule gating.approval"),
        ({"alpha_promote": 0.7}, "gating.alpha_promote: Input should be less than 0.5"),
    ],
)
def test_what_is_no_rule_is_named(rows, changes, message):
    with pytest.raises(ParameterError, match=message):
        replayed(rows, changes)
