"""What the gate's rules do over many simulated runs, through the functions that the loop ships.

Beside them stands the rule that they replace: 100 unpaired episodes of the candidate against a baseline that was
measured once, promoted at five points more and rolled back at five points less. Exits with 1 where a row misses what it
must show.

    python -m studies.gate --runs 20000 --json gate.json --picture docs/gate.svg
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import binom

from leagents_kedro.gate.rules import GateRules
from leagents_kedro.gate.sequential import compare, minimum_detectable_effect
from leagents_kedro.gate.verdict import decide
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.records import Comparison, CycleRecord, Outcome, Outcomes, Pair, Plan

CONF = Path(__file__).parents[1] / "conf" / "base" / "parameters_gating.yml"
CYCLES = 10
START = 0.5
FIXED_EPISODES = 100
FIXED_THRESHOLD = 0.05


@dataclass(frozen=True)
class Row:
    """One line of the table; ``met`` is None where nothing is required."""

    scenario: str
    required: str
    measured: str
    fixed_thresholds: str
    met: bool | None


@dataclass(frozen=True)
class Suite:
    """True success rates by task, of both policies, and the correlation of their outcomes on one seed."""

    blessed: tuple[float, ...]
    candidate: tuple[float, ...]
    correlation: float

    def success_given(self, blessed: np.ndarray) -> np.ndarray:
        """Chance of a candidate's success given the blessed outcomes (..., pairs), round-robin over the tasks."""
        base, rate = (np.resize(rates, blessed.shape[-1]) for rates in (self.blessed, self.candidate))
        both = base * rate + self.correlation * np.sqrt(base * (1 - base) * rate * (1 - rate))
        both = np.clip(both, np.maximum(base + rate - 1, 0), np.minimum(base, rate))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(blessed, both / base, (rate - both) / (1 - base))


def read_rules(conf: Path) -> GateRules:
    return GatingParams(**yaml.safe_load(conf.read_text())["gating"])


def draw_pairs(suite: Suite, pairs: int, runs: int, rng: np.random.Generator) -> Iterable[list[Pair]]:
    base = np.resize(suite.blessed, pairs)
    for _ in range(runs):
        blessed = rng.random(pairs) < base
        candidate = rng.random(pairs) < suite.success_given(blessed)
        yield [
            pair(f"task-{place % len(suite.blessed)}", place, mine, other)
            for place, (mine, other) in enumerate(zip(candidate.tolist(), blessed.tolist(), strict=True))
        ]


@cache
def pair(task: str, seed: int, candidate: bool, blessed: bool) -> Pair:
    return Pair(task=task, seed=seed, candidate=candidate, blessed=blessed)


@cache
def outcome(seed: int, success: bool) -> Outcome:
    return Outcome(task="task-0", seed=seed, success=success, sum_reward=0.0, length=1)


@dataclass
class Tally:
    """How often comparisons ended for or against the candidate, and after how many pairs."""

    runs: int = 0
    promoted: int = 0
    worse: int = 0
    pairs: int = 0

    def add(self, comparison: Comparison) -> None:
        """Count one finished comparison."""
        self.runs += 1
        self.promoted += comparison.state == "better" and not comparison.vetoed_tasks
        self.worse += comparison.state == "worse"
        self.pairs += comparison.looks[-1].pairs


def tally(suite: Suite, rules: GateRules, runs: int, rng: np.random.Generator) -> Tally:
    counts = Tally()
    for pairs in draw_pairs(suite, rules.max_pairs, runs, rng):
        counts.add(compare(pairs, rules))
    return counts


def fixed_promotions(base: float, rate: float) -> float:
    """Chance that the fixed rule promotes, by enumeration of both rates; equal policies are rolled back as often."""
    counts = np.arange(FIXED_EPISODES + 1)
    rates = counts / FIXED_EPISODES
    chances = np.outer(binom.pmf(counts, FIXED_EPISODES, base), binom.pmf(counts, FIXED_EPISODES, rate))
    return float(chances[rates[None, :] - rates[:, None] >= FIXED_THRESHOLD].sum())


def equal_policies(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    rates = [round(0.1 * tenths, 1) for tenths in range(1, 10)]
    tallies = [
        tally(Suite((rate,), (rate,), correlation), rules, runs, rng) for rate in rates for correlation in (0, 0.4, 0.8)
    ]
    fixed = [fixed_promotions(rate, rate) for rate in rates]
    rows = []
    for error, shares in (
        ("promoted", [counts.promoted / counts.runs for counts in tallies]),
        ("rolled back", [counts.worse / counts.runs for counts in tallies]),
    ):
        rows.append(
            Row(
                scenario=f"equal policies, rate .1-.9, correlation 0-.8: {error}",
                required="<= 5%",
                measured=f"{min(shares):.1%} to {max(shares):.1%}",
                fixed_thresholds=f"{min(fixed):.0%} to {max(fixed):.0%}",
                met=max(shares) <= 0.05,
            )
        )
    return rows


def first_blessing(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    """The first candidate succeeds as often as the target asks: not more, so a stop is an error; by enumeration."""
    if rules.target is None or not rules.first_blessing_may_stop:
        return []
    error = 0.0
    for successes in range(rules.max_pairs + 1):
        first = Outcomes(
            protocol="p",
            environment="simulated",
            candidate_digest="candidate",
            blessed_digest=None,
            candidate=tuple(outcome(seed, seed < successes) for seed in range(rules.max_pairs)),
            blessed=(),
        )
        if decide(first, ["task-0"], (), rules, last_rung=False, rung=0).verdict == "stop":
            error += float(binom.pmf(successes, rules.max_pairs, rules.target))
    return [
        Row(
            scenario=f"nothing blessed, the first candidate's true rate is the target of {rules.target:.0%}: stopped",
            required="<= 2.5%",
            measured=f"{error:.1%}",
            fixed_thresholds="-",
            met=error <= 0.025,
        )
    ]


def opposed_tasks(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    """Five tasks gain 20 points, five lose 20: no better on the suite, from mild to one-sided base rates."""
    shares = []
    for up, down in ((0.5, 0.5), (0.3, 0.7), (0.1, 0.9), (0.0, 0.2), (0.8, 1.0)):
        base = (up, down) * 5
        changed = (up + 0.2, down - 0.2) * 5
        for correlation in (0, 0.6):
            counts = tally(Suite(base, changed, correlation), rules, runs, rng)
            shares.append(counts.promoted / counts.runs)
    return [
        Row(
            scenario="ten tasks, five +20 and five -20 points: promoted",
            required="<= 5%",
            measured=f"{min(shares):.1%} to {max(shares):.1%}",
            fixed_thresholds="-",
            met=max(shares) <= 0.05,
        )
    ]


def true_gain(
    rules: GateRules,
    runs: int,
    rng: np.random.Generator,
    *,
    gain: float,
    correlation: float,
    pairs: int,
    required: float | None,
) -> list[Row]:
    longer = rules.model_copy(update={"max_pairs": pairs})
    counts = tally(Suite((START,), (START + gain,), correlation), longer, runs, rng)
    share = counts.promoted / counts.runs
    return [
        Row(
            scenario=f"true +{gain * 100:.0f} points from .5, correlation {correlation:g}, {pairs} pairs: promoted",
            required="-" if required is None else f">= {required:.0%}",
            measured=f"{share:.1%}, in {counts.pairs / counts.runs:.0f} pairs",
            fixed_thresholds=f"{fixed_promotions(START, START + gain):.0%}",
            met=None if required is None else share >= required,
        )
    ]


def stated_effect(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    """The minimum detectable effect that a report prints, held against simulation: it ignores futility stops."""
    correlation = 0.6
    discordance = 2 * 0.5 * 0.5 * (1 - correlation)
    gain = minimum_detectable_effect(rules, 0.5, discordance)
    assert gain is not None
    counts = tally(Suite((0.5 - gain / 2,), (0.5 + gain / 2,), correlation), rules, runs, rng)
    share = counts.promoted / counts.runs
    return [
        Row(
            scenario=f"the stated minimum detectable effect (+{gain * 100:.1f}), correlation {correlation:g}: promoted",
            required="75% to 85%",
            measured=f"{share:.1%}",
            fixed_thresholds="-",
            met=0.75 <= share <= 0.85,
        )
    ]


@dataclass
class Loop:
    """Ten cycles of a loop whose every training changes the true rate by ``gain``; all verdicts are ``decide``'s."""

    rules: GateRules
    gain: float
    correlation: float
    rng: np.random.Generator
    climbs: bool
    history: list[CycleRecord] = field(default_factory=list)
    episodes: int = 0
    rung: int = 0
    blessed: float = START
    blessed_digest: str = "start"
    outcomes: np.ndarray = field(init=False)
    measured: int = field(init=False)
    rate_of: dict[str | None, float] = field(default_factory=dict)

    @property
    def inflation(self) -> float:
        """Reported minus true success rate of the blessed checkpoint, at the last decision that had one to report."""
        last = self.history[-1]
        assert last.decision.evidence.blessed is not None
        return last.decision.evidence.blessed.rate - self.rate_of[last.blessed_digest]

    def run(self) -> "Loop":
        """Run the cycles; a loop that does not climb is handed over to a person at the first plateau."""
        head = START
        self._bless("start", START)
        for cycle in range(1, CYCLES + 1):
            rate = (head if self.rules.lineage == "head" else self.blessed) + self.gain
            verdict = self._challenge(cycle, rate)
            if verdict == "promote":
                self._bless(self.history[-1].candidate_digest, rate)
            if verdict in ("escalate", "stop"):
                if not self.climbs:
                    break
                self.rung += 1
            head = self.blessed if verdict == "rollback" else rate
        return self

    def _bless(self, digest: str, rate: float) -> None:
        self.blessed, self.blessed_digest = rate, digest
        self.rate_of[digest] = rate
        self.outcomes = self.rng.random(self.rules.max_pairs) < rate
        self.measured = 0

    def _challenge(self, cycle: int, rate: float) -> str:
        chances = Suite((self.blessed,), (rate,), self.correlation).success_given(self.outcomes)
        successes = (self.rng.random(self.rules.max_pairs) < chances).tolist()
        blessed = self.outcomes.tolist()
        pairs = [pair("task-0", seed, *both) for seed, both in enumerate(zip(successes, blessed, strict=True))]
        size = compare(pairs, self.rules).looks[-1].pairs
        known = self.measured
        self.measured = max(known, size)
        digest = f"candidate-{cycle}"
        decision = decide(
            Outcomes(
                protocol="p",
                environment="simulated",
                candidate_digest=digest,
                blessed_digest=self.blessed_digest,
                candidate=tuple(outcome(seed, success) for seed, success in enumerate(successes[:size])),
                blessed=tuple(outcome(seed, success) for seed, success in enumerate(blessed[: self.measured])),
            ),
            ["task-0"],
            self.history,
            self.rules,
            last_rung=False,
            rung=self.rung,
        )
        evaluated = size + self.measured - known
        self.episodes += evaluated
        self.history.append(
            CycleRecord(
                plan=Plan(cycle=cycle, run=1, rung=self.rung, initial="head", training_steps=1, reason="simulated"),
                decision=decision,
                candidate_digest=digest,
                blessed_digest=self.blessed_digest,
                mix_episodes=0,
                selected_episodes=0,
                evaluated_episodes=evaluated,
                new_episodes=0,
            )
        )
        return decision.verdict


def fixed_loop(gain: float, runs: int, rng: np.random.Generator) -> tuple[float, float]:
    """Ten cycles by the fixed rule: mean true gain of its baseline policy, and what its recorded score adds to it."""
    blessed: np.ndarray = np.full(runs, START)
    head = blessed.copy()
    recorded: np.ndarray = rng.binomial(FIXED_EPISODES, blessed) / FIXED_EPISODES
    for _ in range(CYCLES):
        candidate = head + gain
        rate = rng.binomial(FIXED_EPISODES, candidate) / FIXED_EPISODES
        promoted = rate - recorded >= FIXED_THRESHOLD
        worse = recorded - rate >= FIXED_THRESHOLD
        recorded = np.where(promoted, rate, recorded)
        blessed = np.where(promoted, candidate, blessed)
        head = np.where(worse, blessed, candidate)
    return float(blessed.mean() - START), float((recorded - blessed).mean())


def noise_only(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    inflations = [
        float(np.mean([Loop(rules, 0.0, correlation, rng, climbs=True).run().inflation for _ in range(runs)]))
        for correlation in (0, 0.3, 0.6)
    ]
    return [
        Row(
            scenario="ten noise-only cycles, correlation 0-.6: reported minus true score of the blessed",
            required="<= 1.5 points",
            measured=f"{min(inflations) * 100:+.2f} to {max(inflations) * 100:+.2f} points",
            fixed_thresholds=f"{fixed_loop(0.0, runs, rng)[1] * 100:+.1f}",
            met=max(inflations) <= 0.015,
        )
    ]


def steady_gains(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    loops = [Loop(rules, 0.03, 0.6, rng, climbs=False).run() for _ in range(runs)]
    gain = float(np.mean([loop.blessed - START for loop in loops]))
    episodes = sum(loop.episodes for loop in loops) / sum(len(loop.history) for loop in loops)
    handed_over = float(np.mean([loop.history[-1].decision.verdict == "escalate" for loop in loops]))
    return [
        Row(
            scenario=f"ten cycles, +3 points each, lineage {rules.lineage}, correlation .6: true gain of the blessed",
            required=">= +24 points, <= 120 episodes a cycle",
            measured=f"{gain * 100:+.1f} points, {episodes:.1f} episodes ({handed_over:.0%} ended at a false plateau)",
            fixed_thresholds=f"{fixed_loop(0.03, runs, rng)[0] * 100:+.1f} points, {FIXED_EPISODES}",
            met=gain >= 0.24 and episodes <= 120,
        )
    ]


def plateaus(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    """Challengers that stay at one distance of the blessed checkpoint until one is promoted."""
    stay = rules.model_copy(update={"lineage": "blessed"})
    rows = []
    for gain, required in ((rules.min_effect, 0.05), (0.0, None)):
        ends = [Loop(stay, gain, 0.6, rng, climbs=False).run().history[-1] for _ in range(runs)]
        escalated = [end.plan.cycle for end in ends if end.decision.verdict == "escalate"]
        first = sum(cycle == rules.plateau_cycles for cycle in escalated) / runs
        rows.append(
            Row(
                scenario=f"every challenger at +{gain * 100:.0f} points, correlation .6: escalated",
                required="-" if required is None else f"<= {required:.0%} at the first test",
                measured=f"{first:.1%} at the first test, {len(escalated) / runs:.1%} within ten cycles",
                fixed_thresholds="-",
                met=None if required is None else first <= required,
            )
        )
    return rows


def growing_prefix(rules: GateRules, runs: int, rng: np.random.Generator) -> list[Row]:
    changed = 0
    for pairs in draw_pairs(Suite((0.5,), (0.6,), 0.4), rules.max_pairs, runs, rng):
        final = compare(pairs, rules)
        for size in range(0, rules.max_pairs, 5):
            prefix = compare(pairs[:size], rules)
            if size >= final.looks[-1].pairs:
                changed += prefix != final
            else:
                changed += prefix.state != "unfinished" or prefix.looks != final.looks[: size // rules.look_every]
    return [
        Row(
            scenario="outcome list replayed as a growing prefix: verdicts or looks that differ",
            required="0",
            measured=f"{changed} in {runs} lists",
            fixed_thresholds="-",
            met=changed == 0,
        )
    ]


def draw(rules: GateRules, rng: np.random.Generator) -> str:
    """Return an SVG of three comparisons: wins minus losses over pairs, and what would end them at each look."""
    panels = []
    for column, (gain, state) in enumerate(((0.2, "better"), (0.0, "futile"), (-0.2, "worse"))):
        for pairs in draw_pairs(Suite((0.5,), (0.5 + gain,), 0.4), rules.max_pairs, 1000, rng):
            comparison = compare(pairs, rules)
            if comparison.state == state and len(comparison.looks) == 3:
                panels.append(panel(comparison, rules, gain, 20 + 250 * column))
                break
    return "\n".join(
        (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 770 290" font-family="sans-serif" font-size="12">',
            '<rect width="770" height="290" fill="white"/>',
            '<text x="20" y="20">Wins minus losses of the candidate by pairs: a look that ends on or beyond '
            '<tspan fill="seagreen">green</tspan> is better, <tspan fill="firebrick">red</tspan> worse.</text>',
            *panels,
            "</svg>\n",
        )
    )


def panel(comparison: Comparison, rules: GateRules, gain: float, left: int) -> str:
    """Draw one comparison: green bars end it as better, red bars as worse."""
    middle, per_pair, per_win = 155, 220 / rules.max_pairs, 5
    steps = np.cumsum([{"+": 1, "-": -1, "=": 0}[sign] for sign in comparison.signs])
    line = " ".join(
        f"{left + per_pair * (place + 1):.1f},{middle - per_win * step}" for place, step in enumerate(steps)
    )
    verdict = f"{comparison.state} after {comparison.looks[-1].pairs} pairs"
    parts = [
        f'<line x1="{left}" y1="{middle}" x2="{left + 220}" y2="{middle}" stroke="silver"/>',
        f'<polyline points="{left},{middle} {line}" fill="none" stroke="steelblue" stroke-width="2"/>',
        f'<text x="{left}" y="45">{f"true gain {gain * 100:+.0f} points" if gain else "no true gain"}</text>',
        f'<text x="{left}" y="280" font-weight="bold">{verdict}</text>',
    ]
    for look in comparison.looks:
        discordant = look.wins + look.losses
        x = left + per_pair * look.pairs
        for needed, side, colour in ((look.wins_needed, -1, "seagreen"), (look.losses_needed, 1, "firebrick")):
            y = middle + side * per_win * (2 * needed - discordant)
            parts.append(
                f'<line x1="{x - 9:.1f}" y1="{y}" x2="{x + 9:.1f}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
            )
        parts.append(f'<text x="{x:.1f}" y="{middle + 105}" text-anchor="middle" fill="gray">{look.pairs}</text>')
    return "\n".join(parts)


def simulate(rules: GateRules, runs: int) -> Iterable[Row]:
    """Yield the table's rows, each from random numbers of its own."""
    scenarios: tuple[Callable[[GateRules, int, np.random.Generator], list[Row]], ...] = (
        equal_policies,
        opposed_tasks,
        partial(true_gain, gain=0.2, correlation=0.6, pairs=100, required=0.9),
        partial(true_gain, gain=0.2, correlation=0.2, pairs=100, required=0.9),
        partial(true_gain, gain=0.2, correlation=0.0, pairs=100, required=None),
        partial(true_gain, gain=0.1, correlation=0.6, pairs=200, required=0.8),
        partial(true_gain, gain=0.05, correlation=0.6, pairs=100, required=None),
        stated_effect,
        noise_only,
        steady_gains,
        plateaus,
        growing_prefix,
        first_blessing,
    )
    for seed, scenario in enumerate(scenarios):
        yield from scenario(rules, runs, np.random.default_rng(seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20000, help="simulated runs a row")
    parser.add_argument("--conf", type=Path, default=CONF, help="YAML file with the rules under the key 'gating'")
    parser.add_argument("--json", type=Path, help="write the table here")
    parser.add_argument("--picture", type=Path, help="write the picture of docs/gate.md here, as SVG")
    options = parser.parse_args()

    rules = read_rules(options.conf)
    if options.picture:
        options.picture.write_text(draw(rules, np.random.default_rng(0)))
    start = time.monotonic()
    print("| scenario | required | measured | fixed thresholds | met |\n|---|---|---|---|---|")
    rows = []
    for row in simulate(rules, options.runs):
        mark = "-" if row.met is None else "yes" if row.met else "NO"
        print(f"| {row.scenario} | {row.required} | {row.measured} | {row.fixed_thresholds} | {mark} |", flush=True)
        rows.append(row)
    if options.json:
        table = {"runs": options.runs, "rules": rules.model_dump(), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(table, indent=2) + "\n")
    required = [row for row in rows if row.met is not None]
    met = sum(row.met is True for row in required)
    print(f"\n{met} of {len(required)} requirements met, {options.runs} runs a row, {time.monotonic() - start:.0f} s")
    return 0 if met == len(required) else 1


if __name__ == "__main__":
    sys.exit(main())
