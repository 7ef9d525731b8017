"""The verdict on a candidate: the first rule that applies decides."""

from collections.abc import Sequence

from leagents_kedro.errors import EvidenceError
from leagents_kedro.gate.evidence import CONFIDENCE, check_blessed, earlier_challengers, pair_outcomes, score, weigh
from leagents_kedro.gate.rules import GateRules, schedule
from leagents_kedro.gate.sequential import compare, plateau_bound
from leagents_kedro.records import Comparison, CycleRecord, Decision, Evidence, Outcomes, Score, Verdict


def decide(
    outcomes: Outcomes,
    tasks: Sequence[str],
    history: Sequence[CycleRecord],
    rules: GateRules,
    *,
    last_rung: bool,
    rung: int,
) -> Decision:
    """Judge a candidate whose comparison is finished; the first rule that applies decides.

    The rules, in order: first blessing (at the target, a stop), promote, stop at the target, rollback, escalate (or
    stop) on a plateau, iterate. Only episodes measured after its own promotion speak for the blessed checkpoint.

    Args:
        outcomes: Every episode of the candidate, and of the blessed checkpoint since its promotion.
        tasks: The suite, in its fixed order.
        history: Closed cycles, oldest first, since a person last chose the blessed checkpoint.
        rules: What is demanded.
        last_rung: Whether no larger policy is left to escalate to.
        rung: The rung that the candidate was trained on.

    Raises:
        EvidenceError: If the outcomes are no evidence (see ``pair_outcomes``), are unfinished, or are of another
            blessed checkpoint than the candidate that was blessed last.
        ParameterError: If the looks do not fit the number of tasks.
    """
    schedule(rules, len(tasks))
    check_blessed(outcomes, history)
    pairs = pair_outcomes(outcomes, tasks)
    if not outcomes.candidate:
        raise EvidenceError("The candidate has no outcomes: evaluate it before deciding.")
    if outcomes.blessed_digest is None:
        return _judge_first(weigh(outcomes, tasks, None, rules), rules)
    comparison = compare(pairs, rules)
    if comparison.state == "unfinished":
        raise EvidenceError(
            f"The comparison is unfinished after {len(pairs)} pairs: measure the next look (every {rules.look_every} "
            f"pairs, up to {rules.max_pairs}) before deciding."
        )
    challengers = [*earlier_challengers(history, tasks, rung), comparison]
    return _judge_challenger(weigh(outcomes, tasks, comparison, rules), comparison, challengers, rules, last_rung)


def _judge_first(evidence: Evidence, rules: GateRules) -> Decision:
    candidate = evidence.candidate
    verdict: Verdict
    if rules.first_blessing_may_stop and rules.target is not None and candidate.low >= rules.target:
        verdict, found = "stop", f"reaches the target of {rules.target:.1%}, so it is blessed, and the loop is done"
    elif candidate.low > rules.floor:
        verdict, found = "promote", f"is above the floor of {rules.floor:.1%}"
    else:
        verdict, found = "iterate", f"is not above the floor of {rules.floor:.1%}"
    reason = f"No checkpoint is blessed yet. The candidate succeeds in {_in_words(candidate)}: its lower bound {found}."
    return Decision(verdict=verdict, reason=reason, evidence=evidence)


def _judge_challenger(
    evidence: Evidence,
    comparison: Comparison,
    challengers: Sequence[Comparison],
    rules: GateRules,
    last_rung: bool,
) -> Decision:
    blessed = evidence.blessed or score(0, 0)
    found = _finding(comparison)
    better = comparison.state == "better"
    bound = plateau_bound(challengers, rules.plateau_alpha)

    verdict: Verdict
    if better and not comparison.vetoed_tasks:
        verdict, reason = "promote", found
    elif rules.target is not None and blessed.low >= rules.target:
        verdict = "stop"
        reason = (
            f"The blessed checkpoint reached the target of {rules.target:.1%}: it succeeds in {_in_words(blessed)}."
        )
    elif better:
        verdict = "iterate"
        reason = f"{found} But it provably got worse on {', '.join(comparison.vetoed_tasks)}, which vetoes a promotion."
    elif comparison.state == "worse":
        verdict, reason = "rollback", f"{found} Training returns to the blessed checkpoint."
    elif len(challengers) >= rules.plateau_cycles and bound < rules.min_effect and blessed.low > rules.floor:
        verdict = "stop" if last_rung else "escalate"
        reason = (
            f"{found} Together, {len(challengers)} challengers since the last promotion or change of rung gain at most "
            f"{bound * 100:+.1f} points ({1 - rules.plateau_alpha:.0%} bound), less than the "
            f"{rules.min_effect * 100:.1f} worth another cycle: "
            f"{'the last rung' if last_rung else 'this rung'} is at its plateau."
        )
    else:
        verdict = "iterate"
        reason = f"{found} Challengers since the last promotion or change of rung: {len(challengers)}."
    return Decision(verdict=verdict, reason=reason, evidence=evidence)


def _finding(comparison: Comparison) -> str:
    now = comparison.looks[-1]
    fact = f"the candidate won {now.wins} and lost {now.losses} of {now.pairs} pairs"
    match comparison.state:
        case "better":
            return f"Better: {fact} ({now.wins_needed} wins were enough, {_p_in_words(comparison.p_better)})."
        case "worse":
            return f"Worse: {fact} ({now.losses_needed} losses were enough, {_p_in_words(comparison.p_worse)})."
        case "futile":
            return f"Neither better nor worse, and more pairs are unlikely to tell: {fact}."
        case _:
            return (
                f"Neither better nor worse: {fact} "
                f"({now.wins_needed} wins or {now.losses_needed} losses would have been enough)."
            )


def _in_words(measured: Score) -> str:
    return (
        f"{measured.successes} of {measured.episodes} episodes "
        f"({CONFIDENCE:.0%} interval {measured.low:.1%} to {measured.high:.1%})"
    )


def _p_in_words(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
