"""From recorded outcomes to evidence."""

from collections.abc import Sequence
from functools import lru_cache

from leagents_kedro.errors import EvidenceError
from leagents_kedro.gate.rules import GateRules
from leagents_kedro.gate.sequential import discordance_of, minimum_detectable_effect
from leagents_kedro.records import Comparison, CycleRecord, Evidence, Outcome, Outcomes, Pair, Score

CONFIDENCE = 0.95


def pair_outcomes(outcomes: Outcomes, tasks: Sequence[str]) -> tuple[Pair, ...]:
    """Pair the candidate's episodes with the blessed checkpoint's: none while there is no blessed checkpoint.

    Pair ``i`` is of task ``tasks[i % len(tasks)]`` (round-robin), so that a prefix is a fair sample of the suite.

    Raises:
        EvidenceError: If an episode is duplicate, out of order, or has no partner on its task and seed, or if the
            digests do not name two checkpoints.
    """
    _check_episodes("candidate", outcomes.candidate, tasks)
    _check_episodes("blessed", outcomes.blessed, tasks)
    if outcomes.blessed_digest is None:
        if outcomes.blessed:
            raise EvidenceError(
                f"{len(outcomes.blessed)} outcomes of a blessed checkpoint are recorded, but blessed_digest is missing."
            )
        return ()
    if outcomes.blessed_digest == outcomes.candidate_digest:
        raise EvidenceError(
            f"Candidate and blessed checkpoint are the same ({outcomes.candidate_digest}): "
            "a candidate should be newly trained; was its version pinned to the blessed one?"
        )
    if len(outcomes.candidate) > len(outcomes.blessed):
        raise EvidenceError(
            f"The candidate has {len(outcomes.candidate)} outcomes, the blessed checkpoint {len(outcomes.blessed)}: "
            "each episode needs a partner; measure both on every seed."
        )
    for place, (mine, other) in enumerate(zip(outcomes.candidate, outcomes.blessed, strict=False)):
        if mine.seed != other.seed:
            raise EvidenceError(
                f"Pair {place} (task {mine.task}) is no pair: the candidate acted on seed {mine.seed}, the blessed "
                f"checkpoint on {other.seed}. Are the blessed outcomes those of another checkpoint?"
            )
    return tuple(
        Pair(task=mine.task, seed=mine.seed, candidate=mine.success, blessed=other.success)
        for mine, other in zip(outcomes.candidate, outcomes.blessed, strict=False)
    )


@lru_cache(maxsize=1 << 12)
def score(successes: int, episodes: int, confidence: float = CONFIDENCE) -> Score:
    """Return the success rate with its exact interval: Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.

    >>> score(8, 10).low
    0.4439045376923585

    Raises:
        EvidenceError: If there are more successes than episodes.
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= episodes:
        raise EvidenceError(f"Successes should be between 0 and the {episodes} episodes measured, got {successes}.")
    if not episodes:
        return Score(successes=0, episodes=0, low=0.0, high=1.0)
    failures, tail = episodes - successes, (1 - confidence) / 2
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Score(successes=successes, episodes=episodes, low=low, high=high)


def _check_episodes(whose: str, episodes: Sequence[Outcome], tasks: Sequence[str]) -> None:
    seen: set[tuple[str, int]] = set()
    for place, episode in enumerate(episodes):
        if episode.task != (expected := tasks[place % len(tasks)]):
            raise EvidenceError(
                f"Outcome {place} of the {whose} should be of task {expected} (round-robin over {len(tasks)} tasks), "
                f"got {episode.task}: an episode is missing, out of order, or of another suite."
            )
        if (episode.task, episode.seed) in seen:
            raise EvidenceError(
                f"Outcome {place} of the {whose} repeats task {episode.task} on seed {episode.seed}: "
                "an episode should be counted once."
            )
        seen.add((episode.task, episode.seed))


def check_blessed(outcomes: Outcomes, history: Sequence[CycleRecord]) -> None:
    """Refuse outcomes of another blessed checkpoint than the candidate that was blessed last.

    Raises:
        EvidenceError: It is another one.
    """
    last = next((record for record in reversed(history) if record.decision.blesses), None)
    if last is not None and last.candidate_digest != outcomes.blessed_digest:
        raise EvidenceError(
            f"The outcomes are of the blessed checkpoint {outcomes.blessed_digest}, but cycle {last.plan.cycle} "
            f"blessed {last.candidate_digest}: evaluate against the checkpoint that was blessed last."
        )


def earlier_challengers(history: Sequence[CycleRecord], tasks: Sequence[str], rung: int) -> list[Comparison]:
    """Comparisons with today's blessed checkpoint that speak for this rung: same suite, since it was blessed."""
    challengers: list[Comparison] = []
    for record in reversed(history):
        evidence = record.decision.evidence
        if record.decision.blesses or record.plan.rung != rung:
            break
        if evidence.comparison is not None and set(evidence.task_scores) == set(tasks):
            challengers.append(evidence.comparison)
    return challengers[::-1]


def weigh(outcomes: Outcomes, tasks: Sequence[str], comparison: Comparison | None, rules: GateRules) -> Evidence:
    """Return what the outcomes say of both checkpoints, in all and on each task."""
    candidate = _score_of(outcomes.candidate)
    blessed = None if outcomes.blessed_digest is None else _score_of(outcomes.blessed)
    rate, discordance = candidate.rate, None
    if blessed is not None and comparison is not None:
        last = comparison.looks[-1]
        rate, discordance = blessed.rate, discordance_of(last.wins + last.losses, last.pairs)
    return Evidence(
        candidate=candidate,
        blessed=blessed,
        comparison=comparison,
        minimum_detectable_effect=minimum_detectable_effect(rules, rate, discordance),
        task_scores={
            task: (
                _score_of([episode for episode in outcomes.candidate if episode.task == task]),
                blessed and _score_of([episode for episode in outcomes.blessed if episode.task == task]),
            )
            for task in tasks
        },
    )


def _score_of(episodes: Sequence[Outcome]) -> Score:
    return score(sum(episode.success for episode in episodes), len(episodes))
