"""What the cycle taught: a record for the ledger, and a page for people."""

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.records import Checkpoint, CycleRecord, Decision, Lessons, Outcomes, Plan, Score, Selection


def distil_lessons(decision: Decision, plan: Plan, demonstrations: Shards | None) -> Lessons:
    """State what the evidence says about each task, in sentences that stand by themselves."""
    statements = []
    for task, (candidate, blessed) in decision.evidence.task_scores.items():
        statement = f"{task}: {_rate(candidate)}"
        if blessed and blessed.episodes:
            statement += f", blessed {_rate(blessed)}"
        statements.append(statement)
    if demonstrations is not None:
        statements.append(f"{demonstrations.total_episodes} expert demonstrations were added for the next cycle")
    return Lessons(cycle=plan.cycle, statements=tuple(statements))


def write_page(
    plan: Plan, selection: Selection, candidate: Checkpoint, decision: Decision, outcomes: Outcomes, lessons: Lessons
) -> str:
    """Return the experiment's page in Markdown: what was tried, what came out, what was learned."""
    evidence = decision.evidence
    lines = [
        f"# Cycle {plan.cycle}: {decision.verdict}",
        "",
        f"{decision.reason}",
        "",
        "## Tried",
        f"- Rung {plan.rung} ({candidate.policy_type}), {plan.training_steps} steps from {plan.initial}: {plan.reason}",
        f"- {len(selection.indices)} episodes of {len(selection.episodes)} tasks",
        "",
        "## Measured",
        "| checkpoint | digest | success rate | 95% interval | episodes |",
        "|---|---|---|---|---|",
        _row("candidate", outcomes.candidate_digest, evidence.candidate),
    ]
    if evidence.blessed and outcomes.blessed_digest:
        lines.append(_row("blessed", outcomes.blessed_digest, evidence.blessed))
    lines += ["", "## Learned", *(f"- {statement}" for statement in lessons.statements), ""]
    return "\n".join(lines)


def record_cycle(
    plan: Plan,
    selection: Selection,
    mix: Shards,
    next_mix: Shards,
    candidate: Checkpoint,
    outcomes: Outcomes,
    decision: Decision,
    demonstrations: Shards | None,
) -> CycleRecord:
    """Return what the ledger keeps of this cycle."""
    return CycleRecord(
        plan=plan,
        decision=decision,
        candidate_digest=outcomes.candidate_digest,
        blessed_digest=outcomes.blessed_digest,
        mix_episodes=mix.total_episodes,
        selected_episodes=len(selection.indices),
        evaluated_episodes=outcomes.measured,
        new_episodes=next_mix.total_episodes - mix.total_episodes,
        harvested_attempts=plan.harvest_attempts if decision.verdict == "promote" else 0,
        demonstrated_episodes=demonstrations.total_episodes if demonstrations else 0,
        training_device=candidate.device,
        evaluation_device=outcomes.conditions.get("device"),
    )


def _rate(score: Score) -> str:
    return f"{score.successes} of {score.episodes} episodes succeed"


def _row(name: str, digest: str, score: Score) -> str:
    return f"| {name} | {digest[:12]} | {score.rate:.0%} | {score.low:.0%} to {score.high:.0%} | {score.episodes} |"
