"""Which rung the next cycle trains, and from which weights: decided from the past alone."""

from leagents_kedro.history.history import NO_VERSION, History
from leagents_kedro.records import Checkpoint, Initial


def next_step(
    history: History, head: Checkpoint | None, blessed: Checkpoint | None, lineage: str
) -> tuple[int, Initial, str]:
    """Return the rung that the next cycle trains, which weights it starts from, and why."""
    cycles, choice = history.cycles, history.choice
    chosen = choice.pins.get("head") if choice else None
    if not cycles and choice and head and chosen:
        return head.rung, "head", f"{choice.by} {choice.event} the loop to the candidate of {chosen}"
    if not cycles:
        return 0, "scratch", "the first cycle starts the first rung from scratch"
    last = cycles[-1]
    rung, verdict = last.plan.rung, last.decision.verdict
    if verdict == "escalate":
        return rung + 1, "scratch", f"cycle {last.plan.cycle} escalated: the next rung starts from scratch"
    if choice and chosen == NO_VERSION:
        return rung, "scratch", f"{choice.by} {choice.event} the loop to no candidate: the rung starts from scratch"
    if choice and chosen:
        return rung, "head", f"{choice.by} {choice.event} the loop to the candidate of {chosen}"
    returns = verdict == "rollback" or (verdict == "iterate" and lineage == "blessed")
    if returns and blessed is not None and blessed.rung == rung:
        return rung, "blessed", f"cycle {last.plan.cycle} said {verdict}: back to the blessed checkpoint"
    return rung, "head", f"cycle {last.plan.cycle} said {verdict}: training goes on from its candidate"
