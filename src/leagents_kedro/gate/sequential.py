"""The sequential comparison of two checkpoints that act on the same seeds.

A pair on which only one of them succeeds is *discordant*, a win or a loss of the candidate. Given the number of
discordant pairs, the wins of a candidate that is not better are at most Binomial(discordant, 1/2), whatever the success
rates and the correlation of the two policies: the sign test of McNemar (1947), doi:10.1007/BF02295996.

The comparison is looked at after every few pairs. The error spent by each look follows Kim and DeMets (1987),
doi:10.1093/biomet/74.1.149, after Lan and DeMets (1983), doi:10.1093/biomet/70.3.659, with exact binomial probabilities
in place of their normal ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

from leagents_kedro.gate.rules import WORSE_FUTILITY_FACTOR, GateRules, look_sizes
from leagents_kedro.records import Comparison, Look, Pair

_POWER = 0.8
_GAIN_STEPS_PER_UNIT = 200


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
    for size in look_sizes(rules):
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
def _spending(rules: GateRules, alpha: float) -> tuple[float, ...]:
    """The error that may be spent by each look, cumulative: Kim and DeMets' power family."""
    return tuple(alpha * (size / rules.max_pairs) ** rules.rho for size in look_sizes(rules))


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
        < WORSE_FUTILITY_FACTOR * rules.futility_power
    ):
        return "futile"
    return "unfinished"


@lru_cache(maxsize=1 << 14)
def _conditional_power(discordant: tuple[int, ...], count: int, rules: GateRules, alpha: float) -> float:
    """Chance that ``count`` still reaches the boundary if the true effect is ``design_effect``.

    Stochastic curtailment after Lan, Simon and Halperin (1982), doi:10.1080/07474948208836014, with the discordant
    pairs to come projected from those seen.
    """
    measured = look_sizes(rules)[len(discordant) - 1]
    share = max(discordance_of(discordant[-1], measured), rules.design_effect)
    return _crossing(discordant, count, rules, alpha, share, rules.design_effect)


def discordance_of(discordant: int, pairs: int) -> float:
    """Share of discordant pairs by Laplace's rule: a short run of agreement is not taken for certainty."""
    return (discordant + 1) / (pairs + 2)


def _crossing(
    discordant: tuple[int, ...], count: int, rules: GateRules, alpha: float, share: float, effect: float
) -> float:
    """Chance to cross at a later look, from ``count`` now, if a ``share`` of the pairs to come is discordant.

    Exact for that share: discordant pairs are won with probability ``(1 + effect / share) / 2``.
    """
    sizes = look_sizes(rules)
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
