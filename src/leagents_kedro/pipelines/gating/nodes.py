"""Whether the candidate is better, and which checkpoint is blessed from here on."""

from leagents_kedro.errors import AwaitingApproval
from leagents_kedro.gate import verdict as gate
from leagents_kedro.history.answers import answered, waits_for_approval
from leagents_kedro.history.history import History
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.records import Checkpoint, Decision, Outcomes, Plan, Suite


def decide(
    outcomes: Outcomes,
    plan: Plan,
    history: History,
    suite: Suite,
    training: TrainingParams,
    gating: GatingParams,
) -> Decision:
    """Judge the candidate by recorded paired outcomes and the decisions before it."""
    return gate.decide(
        outcomes,
        suite.names,
        history.challenges_before(plan.cycle),
        gating,
        rung=plan.rung,
        last_rung=plan.rung == len(training.ladder) - 1,
    )


def approve_decision(verdict: Decision, history: History, plan: Plan, gating: GatingParams) -> Decision:
    """Give a person the last word on what is blessed, where the rules want it.

    Raises:
        AwaitingApproval: Nobody has answered yet.
    """
    if gating.approval == "auto" or not verdict.blesses:
        return verdict
    if answer := history.answer_to(plan.cycle):
        return answered(verdict, answer)
    raise AwaitingApproval(f"{waits_for_approval(plan.cycle)}. The gate says: {verdict.reason}")


def publish_blessed(decision: Decision, candidate: Checkpoint, blessed: Checkpoint | None) -> Checkpoint | None:
    """Return the checkpoint that stands after this cycle: the candidate only where the decision blesses it."""
    return candidate if decision.blesses else blessed
