import ast
import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom

from leagents_kedro import gate
from leagents_kedro.errors import EvidenceError, ParameterError
from leagents_kedro.gate import (
    GateRules,
    compare,
    decide,
    minimum_detectable_effect,
    pair_outcomes,
    plateau_bound,
    schedule,
    score,
)
from leagents_kedro.records import Comparison, CycleRecord, Decision, Outcome, Outcomes, Pair, Plan

BOTH_OUTCOMES = {"+": (True, False), "-": (False, True), "=": (True, True), "0": (False, False)}


def make_rules(**changes: object) -> GateRules:
    values: dict[str, object] = {
        "alpha_promote": 0.05,
        "alpha_rollback": 0.05,
        "max_pairs": 100,
        "look_every": 20,
        "rho": 2.0,
        "design_effect": 0.1,
        "futility_power": 0.1,
        "min_effect": 0.05,
        "plateau_cycles": 3,
        "plateau_alpha": 0.05,
        "floor": 0.05,
        "task_veto_alpha": 0.05,
        "target": None,
        "lineage": "head",
    }
    return GateRules.model_validate(values | changes)


def make_pairs(signs: str, tasks: Sequence[str] = ("reach",)) -> list[Pair]:
    """Pairs from one letter each: + a win, - a loss, = both succeed, 0 both fail."""
    return [
        Pair(
            task=tasks[place % len(tasks)],
            seed=place,
            candidate=BOTH_OUTCOMES[sign][0],
            blessed=BOTH_OUTCOMES[sign][1],
        )
        for place, sign in enumerate(signs)
    ]


def make_outcomes(
    signs: str, tasks: Sequence[str] = ("reach",), *, candidate: str = "candidate", blessed: str | None = "blessed"
) -> Outcomes:
    mine, other = (
        tuple(
            Outcome(
                task=tasks[place % len(tasks)],
                seed=place,
                success=BOTH_OUTCOMES[sign][side],
                sum_reward=0.0,
                length=1,
            )
            for place, sign in enumerate(signs)
        )
        for side in (0, 1)
    )
    return Outcomes(
        environment="simulated",
        candidate_digest=candidate,
        blessed_digest=blessed,
        candidate=mine,
        blessed=other if blessed else (),
    )


def make_record(decision: Decision, *, cycle: int = 1, rung: int = 0, candidate: str = "earlier") -> CycleRecord:
    return CycleRecord(
        plan=Plan(cycle=cycle, run=1, rung=rung, initial="head", training_steps=1, reason="a test"),
        decision=decision,
        candidate_digest=candidate,
        blessed_digest="blessed",
        mix_episodes=0,
        selected_episodes=0,
        evaluated_episodes=0,
        new_episodes=0,
    )


def judge(
    signs: str,
    history: Sequence[CycleRecord] = (),
    *,
    last_rung: bool = False,
    rung: int = 0,
    blessed: str | None = "blessed",
    tasks: Sequence[str] = ("reach",),
    **changes: object,
) -> Decision:
    outcomes = make_outcomes(signs, tasks, blessed=blessed)
    return decide(outcomes, tasks, history, make_rules(**changes), last_rung=last_rung, rung=rung)


EVEN = "+-========" * 10
SLIGHTLY_WORSE = "+-=======-" * 10


class TestBoundary:
    """The comparison's error, by enumeration rather than by chance."""

    @pytest.mark.parametrize("alpha", [0.05, 0.2, 0.45])
    def test_equal_policies_are_promoted_and_rolled_back_within_the_level_at_any_discordance(self, alpha: float):
        rules = make_rules(max_pairs=12, look_every=4, alpha_promote=alpha, alpha_rollback=alpha)
        at_one_look = [(w, losses) for w in range(5) for losses in range(5 - w)]
        ends = []
        for path in product(at_one_look, repeat=3):
            state = compare(make_pairs("".join("+" * w + "-" * n + "=" * (4 - w - n) for w, n in path)), rules).state
            ways = math.prod(math.factorial(4) // math.prod(map(math.factorial, (w, n, 4 - w - n))) for w, n in path)
            ends.append((state, ways, sum(w + n for w, n in path)))

        for share in (0.02, 0.1, 0.3, 0.5, 0.8, 1.0):
            chance = dict.fromkeys(("better", "worse"), 0.0)
            for state, ways, discordant in ends:
                if state in chance:
                    chance[state] += ways * (share / 2) ** discordant * (1 - share) ** (12 - discordant)
            assert chance["better"] == pytest.approx(chance["worse"])
            assert chance["better"] <= alpha

    @given(
        discordant=st.lists(st.integers(0, 20), min_size=5, max_size=5),
        alpha=st.sampled_from([0.01, 0.05, 0.1, 0.3]),
        rho=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
    )
    @settings(max_examples=60, deadline=None)
    def test_the_counts_needed_spend_the_level_and_no_fewer_would_do(
        self, discordant: list[int], alpha: float, rho: float
    ):
        rules = make_rules(alpha_promote=alpha, alpha_rollback=alpha, rho=rho, futility_power=0.0)
        balanced = "".join(("+-" * 10)[:count].ljust(20, "=") for count in discordant)
        comparison = compare(make_pairs(balanced), rules)
        looks = comparison.looks if comparison.state == "exhausted" else ()

        alive, spent = {0: Fraction(1)}, Fraction(0)
        for before, now in pairwise((0, *(look.wins + look.losses for look in looks))):
            look = next(look for look in looks[::-1] if look.wins + look.losses == now)
            look = looks[min(len(looks) - 1, _index(looks, before, now, spent, alive))] if False else look
        for look, before in zip(looks, (0, *(look.wins + look.losses for look in looks)), strict=False):
            step = look.wins + look.losses - before
            reached: dict[int, Fraction] = {}
            for wins, chance in alive.items():
                for more in range(step + 1):
                    reached[wins + more] = reached.get(wins + more, Fraction(0)) + chance * math.comb(step, more) / 2**step
            allowed = alpha * (look.pairs / 100) ** rho
            tail = spent + sum(chance for wins, chance in reached.items() if wins >= look.wins_needed)
            assert float(tail) <= allowed + 1e-12
            assert float(tail + reached.get(look.wins_needed - 1, Fraction(1))) > allowed - 1e-12
            assert look.losses_needed == look.wins_needed
            alive, spent = {wins: chance for wins, chance in reached.items() if wins < look.wins_needed}, tail
