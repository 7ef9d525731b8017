"""The gate: from recorded paired outcomes to a verdict, by exact tests on integer counts.

A pure function of the records: no clock, no random numbers, no input or output. A candidate and the blessed
checkpoint act on the same seeds; a pair on which only one of them succeeds is *discordant*, a win or a loss of the
candidate. Given the number of discordant pairs, the wins of a candidate that is not better are at most
Binomial(discordant, 1/2), whatever the success rates and the correlation of the two policies: the sign test of McNemar
(1947), doi:10.1007/BF02295996.

The comparison is looked at after every few pairs. The error spent by each look follows Kim and DeMets (1987),
doi:10.1093/biomet/74.1.149, after Lan and DeMets (1983), doi:10.1093/biomet/70.3.659, with exact binomial probabilities
in place of their normal ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from leagents_kedro.errors import EvidenceError, ParameterError
from leagents_kedro.records import (
    Comparison,
    CycleRecord,
    Decision,
    Evidence,
    Look,
    Outcome,
    Outcomes,
    Pair,
    Record,
    Score,
    Verdict,
)

Level = Annotated[FiniteFloat, Field(gt=0, lt=0.5)]
Fraction = Annotated[FiniteFloat, Field(gt=0, lt=1)]

_CONFIDENCE = 0.95
_POWER = 0.8
_WORSE_FUTILITY_FACTOR = 3
_GAIN_STEPS_PER_UNIT = 200


class GateRules(Record):
    """What the gate demands; rates and effects are fractions, so 0.05 is five points."""

    alpha_promote: Level
    alpha_rollback: Level
    max_pairs: Annotated[int, Field(ge=1)]
    look_every: Annotated[int, Field(ge=1)]
    rho: Annotated[FiniteFloat, Field(gt=0)]
    design_effect: Fraction
    futility_power: Annotated[FiniteFloat, Field(ge=0, lt=1 / _WORSE_FUTILITY_FACTOR)]
    min_effect: Fraction
    plateau_cycles: Annotated[int, Field(ge=1)]
    plateau_alpha: Level
    floor: Annotated[FiniteFloat, Field(ge=0, lt=1)]
    task_veto_alpha: Level
    target: Fraction | None
    lineage: Literal["head", "blessed"]

    @model_validator(mode="after")
    def _check_consistent(self) -> "GateRules":
        if self.look_every > self.max_pairs:
            raise ValueError(f"look_every should be at most max_pairs ({self.max_pairs}), got {self.look_every}")
        if self.target is not None and self.target <= self.floor:
            raise ValueError(f"target should be above the floor ({self.floor}), got {self.target}")
        return self


def schedule(rules: GateRules, tasks_count: int) -> tuple[int, ...]:
    """Return the number of pairs at each look; the last is ``max_pairs``.

    Raises:
        ParameterError: If a look would not hold the same number of pairs of every task.
    """
    for name, pairs in (("look_every", rules.look_every), ("max_pairs", rules.max_pairs)):
        if pairs % tasks_count:
            raise ParameterError(
                f"{name} should be a multiple of the number of tasks, so that every look weighs the tasks alike: "
                f"got {pairs} pairs for {tasks_count} tasks; {pairs - pairs % tasks_count + tasks_count} would do."
            )
    return _looks(rules)


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


def compare(pairs: Sequence[Pair], rules: GateRules) -> Comparison:
    """Replay the looks on ``pairs`` and return where the comparison stands: "unfinished" asks for the next look.

    The comparison ends at the first look that allows it, and pairs beyond that look are ignored, so that adding pairs
    never changes a verdict. It ends as "better" or "worse" when the wins or losses reach the count needed, as "futile"
    when neither is likely any more, and as "exhausted" at ``max_pairs``. Futility is non-binding: the error bounds hold
    whether or not it is obeyed.
    """
    signs = "".join("=" if pair.candidate == pair.blessed else "+" if pair.candidate else "-" for pair in pairs)
    looks: list[Look] = []
    state: Literal["unfinished", "better", "worse", "futile", "exhausted"] = "unfinished"
    for size in _looks(rules):
        if size > len(signs) or state != "unfinished":
            break
        looks.append(_take_look(signs[:size], looks, rules))
        state = _state(looks, rules)
    if not looks:
        return Comparison(state=state, looks=(), p_better=1.0, p_worse=1.0, vetoed_tasks=(), signs="")
    measured = looks[-1].pairs
    discordant = tuple(look.wins + look.losses for look in looks)
    return Comparison(
        state=state,
        looks=tuple(looks),
        p_better=float(_stage(discordant, _spending(rules, rules.alpha_promote)).p_values[looks[-1].wins]),
        p_worse=float(_stage(discordant, _spending(rules, rules.alpha_rollback)).p_values[looks[-1].losses]),
        vetoed_tasks=() if state == "unfinished" else _worse_tasks(pairs[:measured], rules.task_veto_alpha),
        signs=signs[:measured],
    )


@lru_cache(maxsize=1 << 12)
def score(successes: int, episodes: int, confidence: float = _CONFIDENCE) -> Score:
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


def minimum_detectable_effect(rules: GateRules, rate: float, discordance: float | None = None) -> float | None:
    """Return the smallest true gain, to half a point, that the comparison finds with 80% power by ``max_pairs``.

    Exact for discordant pairs that come in evenly at the share ``discordance`` (raised to the gain, where a gain needs
    more). Without one, the policies are taken as independent with the blessed checkpoint's success ``rate``, the least
    favourable case that is plausible for policies that share seeds.

    Returns:
        The gain as a fraction, or None where ``rate`` leaves no room for a gain that could be found.
    """
    gain = _detectable_gain(rules, 2 * rate * (1 - rate) if discordance is None else discordance)
    return None if gain is None or gain > 1 - rate else gain


def plateau_bound(comparisons: Sequence[Comparison], alpha: float) -> float:
    """Return the upper confidence bound, at level ``1 - alpha``, of the challengers' pooled gain over the blessed one.

    Challengers share the blessed checkpoint's episodes and much of their training, so the unit that varies is the
    seed, not the pair: the variance is that of the seeds' sums. As in the adjusted interval of Bonett and Price
    (2012), doi:10.3102/1076998611411915, one win and one loss are added to each challenger, so that pairs that all
    agree do not pass for certainty.

    Args:
        comparisons: Of successive challengers with one blessed checkpoint, in the same order of seeds.
        alpha: Chance that the bound lies below the true gain.
    """
    from scipy.special import ndtri

    values = {"+": 1, "-": -1, "=": 0}
    challengers = len(comparisons)
    seeds = max(len(comparison.signs) for comparison in comparisons)
    gains = np.zeros(seeds + 2)
    counts = np.zeros(seeds + 2)
    gains[-2:] = challengers, -challengers
    counts[-2:] = challengers
    for comparison in comparisons:
        measured = len(comparison.signs)
        gains[:measured] += [values[sign] for sign in comparison.signs]
        counts[:measured] += 1
    mean = gains.sum() / counts.sum()
    deviation = np.sqrt(np.square(gains - mean * counts).sum()) / counts.sum()
    return float(mean - ndtri(alpha) * deviation)


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

    The rules, in order: first blessing, promote, stop at the target, rollback, escalate (or stop) on a plateau,
    iterate. Only episodes measured after its own promotion speak for the blessed checkpoint.

    Args:
        outcomes: Every episode of the candidate, and of the blessed checkpoint since its promotion.
        tasks: The suite, in its fixed order.
        history: Closed cycles, oldest first.
        rules: What is demanded.
        last_rung: Whether no larger policy is left to escalate to.
        rung: The rung that the candidate was trained on.

    Raises:
        EvidenceError: If the outcomes are no evidence (see ``pair_outcomes``), are unfinished, or are of another
            blessed checkpoint than the last one promoted.
        ParameterError: If the looks do not fit the number of tasks.
    """
    schedule(rules, len(tasks))
    _check_blessed(outcomes, history)
    pairs = pair_outcomes(outcomes, tasks)
    if not outcomes.candidate:
        raise EvidenceError("The candidate has no outcomes: evaluate it before deciding.")
    if outcomes.blessed_digest is None:
        return _judge_first(_weigh(outcomes, tasks, None, rules), rules)
    comparison = compare(pairs, rules)
    if comparison.state == "unfinished":
        raise EvidenceError(
            f"The comparison is unfinished after {len(pairs)} pairs: measure the next look (every {rules.look_every} "
            f"pairs, up to {rules.max_pairs}) before deciding."
        )
    challengers = [*_earlier_challengers(history, tasks, rung), comparison]
    return _judge_challenger(_weigh(outcomes, tasks, comparison, rules), comparison, challengers, rules, last_rung)


@dataclass(frozen=True)
class _Stage:
    """One look at the boundary: counts are wins (or, mirrored, losses) among the discordant pairs so far.

    ``alive[w]`` is the probability, at equal policies, of standing at ``w`` without having crossed; ``p_values[w]``
    that of having crossed at an earlier look or standing at ``w`` or above at this one.
    """

    needed: int
    spent: float
    alive: np.ndarray
    p_values: np.ndarray


@cache
def _looks(rules: GateRules) -> tuple[int, ...]:
    return *range(rules.look_every, rules.max_pairs, rules.look_every), rules.max_pairs


@cache
def _spending(rules: GateRules, alpha: float) -> tuple[float, ...]:
    """The error that may be spent by each look, cumulative: Kim and DeMets' power family."""
    return tuple(alpha * (size / rules.max_pairs) ** rules.rho for size in _looks(rules))


@lru_cache(maxsize=1 << 14)
def _stage(discordant: tuple[int, ...], spending: tuple[float, ...]) -> _Stage:
    """The boundary at the last of the looks with ``discordant`` pairs each, cumulative.

    The increments are binomial given the discordant pairs; what crossed at earlier looks is gone from ``alive``, and
    what the counts left unspent is carried on. P-values use the stage-wise ordering of Fairbanks and Madsen (1982),
    doi:10.1093/biomet/69.1.69, and so are at most alpha exactly where the comparison can end in favour.
    """
    if not discordant:
        return _Stage(needed=0, spent=0.0, alive=np.ones(1), p_values=np.ones(1))
    *_, before, now = 0, *discordant
    last = _stage(discordant[:-1], spending)
    reached = np.convolve(last.alive, _increments(now - before, 0.5))
    p_values = np.minimum(last.spent + np.cumsum(reached[::-1])[::-1], 1.0)
    needed = int(np.count_nonzero(p_values > spending[len(discordant) - 1]))
    spent = float(p_values[needed]) if needed <= now else last.spent
    alive = np.where(np.arange(now + 1) < needed, reached, 0.0)
    return _Stage(needed=needed, spent=spent, alive=alive, p_values=p_values)


@lru_cache(maxsize=1 << 14)
def _increments(trials: int, chance: float) -> np.ndarray:
    """Return the binomial probabilities of 0 to ``trials`` successes; scipy.stats takes a second to import."""
    from scipy.special import gammaln, xlog1py, xlogy

    successes = np.arange(trials + 1)
    failures = trials - successes
    ways = gammaln(trials + 1) - gammaln(successes + 1) - gammaln(failures + 1)
    return np.exp(ways + xlogy(successes, chance) + xlog1py(failures, -chance))


def _take_look(signs: str, earlier: Sequence[Look], rules: GateRules) -> Look:
    wins, losses = signs.count("+"), signs.count("-")
    discordant = (*(look.wins + look.losses for look in earlier), wins + losses)
    return Look(
        pairs=len(signs),
        wins=wins,
        losses=losses,
        wins_needed=_stage(discordant, _spending(rules, rules.alpha_promote)).needed,
        losses_needed=_stage(discordant, _spending(rules, rules.alpha_rollback)).needed,
    )


def _state(looks: Sequence[Look], rules: GateRules) -> Literal["unfinished", "better", "worse", "futile", "exhausted"]:
    now = looks[-1]
    if now.wins >= now.wins_needed:
        return "better"
    if now.losses >= now.losses_needed:
        return "worse"
    if now.pairs == rules.max_pairs:
        return "exhausted"
    discordant = tuple(look.wins + look.losses for look in looks)
    if (
        _conditional_power(discordant, now.wins, rules, rules.alpha_promote) < rules.futility_power
        and _conditional_power(discordant, now.losses, rules, rules.alpha_rollback)
        < _WORSE_FUTILITY_FACTOR * rules.futility_power
    ):
        return "futile"
    return "unfinished"


@lru_cache(maxsize=1 << 14)
def _conditional_power(discordant: tuple[int, ...], count: int, rules: GateRules, alpha: float) -> float:
    """Chance that ``count`` still reaches the boundary if the true effect is ``design_effect``.

    Stochastic curtailment after Lan, Simon and Halperin (1982), doi:10.1080/07474948208836014, with the discordant
    pairs to come projected from those seen.
    """
    measured = _looks(rules)[len(discordant) - 1]
    share = max(_discordance(discordant[-1], measured), rules.design_effect)
    return _crossing(discordant, count, rules, alpha, share, rules.design_effect)


def _discordance(discordant: int, pairs: int) -> float:
    """Share of discordant pairs by Laplace's rule: a short run of agreement is not taken for certainty."""
    return (discordant + 1) / (pairs + 2)


def _crossing(
    discordant: tuple[int, ...], count: int, rules: GateRules, alpha: float, share: float, effect: float
) -> float:
    """Chance to cross at a later look, from ``count`` now, if a ``share`` of the pairs to come is discordant.

    Exact for that share: discordant pairs are won with probability ``(1 + effect / share) / 2``.
    """
    sizes = _looks(rules)
    done = len(discordant)
    measured, seen = (sizes[done - 1], discordant[-1]) if discordant else (0, 0)
    path = (*discordant, *(seen + round(share * (size - measured)) for size in sizes[done:]))
    chance = (1 + effect / share) / 2
    alive: np.ndarray = np.zeros(count + 1)
    alive[count] = 1.0
    crossed = 0.0
    for look, (before, now) in enumerate(pairwise((seen, *path[done:])), start=done + 1):
        needed = _stage(path[:look], _spending(rules, alpha)).needed
        alive = np.convolve(alive, _increments(now - before, chance))
        crossed += float(alive[needed:].sum())
        alive = alive[:needed]
    return crossed


@lru_cache(maxsize=1 << 12)
def _detectable_gain(rules: GateRules, discordance: float) -> float | None:
    for step in range(1, _GAIN_STEPS_PER_UNIT):
        gain = step / _GAIN_STEPS_PER_UNIT
        if _crossing((), 0, rules, rules.alpha_promote, max(discordance, gain), gain) >= _POWER:
            return gain
    return None


def _worse_tasks(pairs: Sequence[Pair], alpha: float) -> tuple[str, ...]:
    """Tasks on which the candidate provably got worse: exact sign tests, Holm (1979), jstor.org/stable/4615733."""
    signs: dict[str, tuple[int, int]] = {}
    for pair in pairs:
        wins, losses = signs.get(pair.task, (0, 0))
        signs[pair.task] = wins + (pair.candidate > pair.blessed), losses + (pair.candidate < pair.blessed)
    p_values = {task: _sign_test(losses, wins + losses) for task, (wins, losses) in signs.items()}
    worse: set[str] = set()
    for rank, (task, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if p_value > alpha / (len(p_values) - rank):
            break
        worse.add(task)
    return tuple(task for task in p_values if task in worse)


@lru_cache(maxsize=1 << 12)
def _sign_test(count: int, discordant: int) -> float:
    from scipy.special import bdtrc

    return float(bdtrc(count - 1, discordant, 0.5)) if count else 1.0


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


def _check_blessed(outcomes: Outcomes, history: Sequence[CycleRecord]) -> None:
    promoted = next((record for record in reversed(history) if record.decision.verdict == "promote"), None)
    if promoted is not None and promoted.candidate_digest != outcomes.blessed_digest:
        raise EvidenceError(
            f"The outcomes are of the blessed checkpoint {outcomes.blessed_digest}, but cycle {promoted.plan.cycle} "
            f"promoted {promoted.candidate_digest}: evaluate against the checkpoint that was promoted last."
        )


def _earlier_challengers(history: Sequence[CycleRecord], tasks: Sequence[str], rung: int) -> list[Comparison]:
    """Comparisons with today's blessed checkpoint that speak for this rung: same suite, since the last promotion."""
    challengers: list[Comparison] = []
    for record in reversed(history):
        evidence = record.decision.evidence
        if record.decision.verdict == "promote" or record.plan.rung != rung:
            break
        if evidence.comparison is not None and set(evidence.task_scores) == set(tasks):
            challengers.append(evidence.comparison)
    return challengers[::-1]


def _weigh(outcomes: Outcomes, tasks: Sequence[str], comparison: Comparison | None, rules: GateRules) -> Evidence:
    candidate = _score_of(outcomes.candidate)
    blessed = None if outcomes.blessed_digest is None else _score_of(outcomes.blessed)
    rate, discordance = candidate.rate, None
    if blessed is not None and comparison is not None:
        last = comparison.looks[-1]
        rate, discordance = blessed.rate, _discordance(last.wins + last.losses, last.pairs)
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


def _judge_first(evidence: Evidence, rules: GateRules) -> Decision:
    candidate = evidence.candidate
    above = candidate.low > rules.floor
    verdict: Verdict = "promote" if above else "iterate"
    reason = (
        f"No checkpoint is blessed yet. The candidate succeeds in {_in_words(candidate)}: its lower bound is "
        f"{'above' if above else 'not above'} the floor of {rules.floor:.1%}."
    )
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
        f"({_CONFIDENCE:.0%} interval {measured.low:.1%} to {measured.high:.1%})"
    )


def _p_in_words(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
