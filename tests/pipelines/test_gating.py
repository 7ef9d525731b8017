import pytest

from leagents_kedro.pipelines.gating.nodes import decide
from leagents_kedro.records import Outcome, Outcomes, Plan

PLAN = Plan(cycle=2, run=1, rung=0, initial="head", training_steps=20, reason="test")


def outcomes(blessed_digest: str) -> Outcomes:
    def of(wins: range) -> tuple[Outcome, ...]:
        return tuple(
            Outcome(
                task=("reach-v3", "drawer-close-v3")[index % 2],
                seed=index,
                success=index in wins,
                sum_reward=0.0,
                length=1,
            )
            for index in range(20)
        )

    return Outcomes(
        environment="metaworld_state",
        protocol="p",
        candidate_digest="c" * 64,
        blessed_digest=blessed_digest,
        candidate=of(range(20)),
        blessed=of(range(0)),
    )


@pytest.mark.parametrize("closed", [("promote",), ("promote", "promote")])
def test_a_decision_rests_on_the_cycles_before_it_also_when_it_is_taken_again(closed, ledger, suite, training, gating):
    decision = decide(outcomes(f"{1:064d}"), PLAN, ledger(*closed), suite, training, gating)
    assert decision.verdict == "promote"
    assert "won 20 and lost 0 of 20 pairs" in decision.reason
