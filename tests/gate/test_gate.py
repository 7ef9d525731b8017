import ast
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom

from leagents_kedro import gate
from leagents_kedro.errors import EvidenceError, ParameterError
from leagents_kedro.gate.evidence import pair_outcomes, score
from leagents_kedro.gate.rules import GateRules, schedule
from leagents_kedro.gate.sequential import compare, minimum_detectable_effect, plateau_bound
from leagents_kedro.gate.verdict import decide
from leagents_kedro.records import CycleRecord, Decision, Outcome, Outcomes, Pair, Plan

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
        protocol="p",
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
SLIGHTLY_BETTER = "-=++======" * 10
SLIGHTLY_WORSE = "+-=======-" * 10


# Tested by enumeration rather than by chance: the error of the comparison.


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.45])
def test_equal_policies_are_told_apart_within_the_level_at_any_discordance(alpha):
    rules = make_rules(max_pairs=12, look_every=4, alpha_promote=alpha, alpha_rollback=alpha, futility_power=0.0)
    counts_of_a_look = [(wins, losses) for wins in range(5) for losses in range(5 - wins)]
    ends = []
    for path in product(counts_of_a_look, repeat=3):
        signs = "".join("+" * wins + "-" * losses + "=" * (4 - wins - losses) for wins, losses in path)
        ways = math.prod(math.comb(4, wins) * math.comb(4 - wins, losses) for wins, losses in path)
        ends.append((compare(make_pairs(signs), rules).state, ways, sum(map(sum, path))))

    assert sum(ways for _, ways, _ in ends) == 3**12
    for discordance in (0.02, 0.1, 0.3, 0.5, 0.8, 1.0):
        chances = Counter()
        for state, ways, discordant in ends:
            chances[state] += ways * (discordance / 2) ** discordant * (1 - discordance) ** (12 - discordant)
        assert chances["better"] == pytest.approx(chances["worse"])
        assert chances["better"] <= alpha
    assert chances["better"] > alpha / 4


@given(
    discordant=st.lists(st.integers(0, 20), min_size=5, max_size=5),
    alpha=st.sampled_from([0.01, 0.05, 0.1, 0.3]),
    rho=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_the_counts_needed_spend_the_level_and_one_fewer_would_overspend(discordant, alpha, rho):
    rules = make_rules(alpha_promote=alpha, alpha_rollback=alpha, rho=rho, futility_power=0.0)
    turns = itertools.cycle("+-")  # no look settles what stays as balanced as that
    balanced = "".join("".join(islice(turns, count)).ljust(20, "=") for count in discordant)
    looks = compare(make_pairs(balanced), rules).looks
    assert len(looks) == 5

    alive, spent = {0: Fraction(1)}, Fraction(0)
    for look, increment in zip(looks, discordant, strict=True):
        reached = Counter()
        for (wins, chance), more in product(alive.items(), range(increment + 1)):
            reached[wins + more] += chance * math.comb(increment, more) / 2**increment
        tail = spent + sum(chance for wins, chance in reached.items() if wins >= look.wins_needed)
        allowed = alpha * (look.pairs / 100) ** rho
        assert tail <= allowed + 1e-12
        assert tail + reached[look.wins_needed - 1] > allowed - 1e-12
        assert look.losses_needed == look.wins_needed
        alive = {wins: chance for wins, chance in reached.items() if wins < look.wins_needed}
        spent = tail


@given(st.text("+-==0", min_size=0, max_size=100), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_growing_prefix_keeps_its_verdict(signs, biased):
    rules = make_rules()
    pairs = make_pairs(signs.replace("-", "+") if biased else signs)
    final = compare(pairs, rules)
    for size in range(len(pairs) + 1):
        prefix = compare(pairs[:size], rules)
        assert prefix.looks == final.looks[: size // 20]
        if final.state != "unfinished" and size >= final.looks[-1].pairs:
            assert prefix == final
        else:
            assert prefix.state == "unfinished"


@given(st.text("+-=0", min_size=100, max_size=100))
@settings(max_examples=100, deadline=None)
def test_swapping_the_policies_mirrors_the_comparison(signs):
    rules = make_rules(futility_power=0.0)
    forth = compare(make_pairs(signs), rules)
    back = compare(make_pairs(signs.translate(str.maketrans("+-", "-+"))), rules)
    assert {"better": "worse", "worse": "better"}.get(forth.state, forth.state) == back.state
    assert (forth.p_better, forth.p_worse) == (back.p_worse, back.p_better)


@given(st.text("+-=0", min_size=100, max_size=100))
@settings(max_examples=100, deadline=None)
def test_the_p_value_agrees_with_the_verdict(signs):
    comparison = compare(make_pairs(signs), make_rules(futility_power=0.0))
    assert (comparison.p_better <= 0.05) == (comparison.state == "better")
    assert (comparison.p_worse <= 0.05) == (comparison.state == "worse")


def test_one_look_is_the_plain_sign_test():
    rules = make_rules(look_every=100)
    comparison = compare(make_pairs("+" * 20 + "-" * 8 + "=" * 72), rules)
    assert comparison.p_better == pytest.approx(binom.sf(19, 28, 0.5))
    assert comparison.state == "better"
    assert comparison.looks[-1].wins_needed == 19


def test_a_hopeless_comparison_stops_early_and_only_where_futility_is_asked_for():
    pairs = make_pairs("+-++--+-+-" * 10)
    assert compare(pairs, make_rules()).state == "futile"
    assert compare(pairs, make_rules(futility_power=0.0)).state == "exhausted"


def test_agreement_alone_is_not_futile():
    assert compare(make_pairs("=" * 20), make_rules()).state == "unfinished"


def test_a_task_that_provably_got_worse_is_named_and_weak_evidence_is_not():
    signs = "".join("+" + ("-" if place < 12 else "=") + "=" for place in range(33))
    comparison = compare(make_pairs(signs, ("reach", "push", "pick")), make_rules(max_pairs=99, look_every=99))
    assert comparison.state == "better"
    assert comparison.vetoed_tasks == ("push",)
    weak = signs.replace("-", "=", 8)
    assert (
        compare(make_pairs(weak, ("reach", "push", "pick")), make_rules(max_pairs=99, look_every=99)).vetoed_tasks == ()
    )


@pytest.mark.parametrize(("successes", "episodes"), [(0, 10), (3, 10), (10, 10), (57, 100)])
def test_the_score_is_the_exact_interval(successes, episodes):
    measured = score(successes, episodes)
    assert measured.rate == successes / episodes
    if successes:
        assert binom.sf(successes - 1, episodes, measured.low) == pytest.approx(0.025)
    if successes < episodes:
        assert binom.cdf(successes, episodes, measured.high) == pytest.approx(0.025)
    assert (measured.low == 0) == (successes == 0)
    assert (measured.high == 1) == (successes == episodes)


def test_nothing_measured_excludes_no_rate():
    assert (score(0, 0).low, score(0, 0).high) == (0, 1)


def test_more_successes_than_episodes_are_refused():
    with pytest.raises(EvidenceError, match="between 0 and the 10 episodes"):
        score(11, 10)


def test_the_detectable_effect_shrinks_with_pairs_and_grows_with_discordance():
    effects = [minimum_detectable_effect(make_rules(max_pairs=pairs), 0.3, 0.2) for pairs in (100, 200, 400)]
    assert effects == sorted(effects, reverse=True)
    assert effects[0] > effects[-1]
    by_discordance = [minimum_detectable_effect(make_rules(), 0.3, share) for share in (0.1, 0.3, 0.5)]
    assert by_discordance == sorted(by_discordance)


def test_one_look_detects_what_the_binomial_tail_says():
    rules = make_rules(look_every=100)
    effect = minimum_detectable_effect(rules, 0.3, 0.2)
    needed = compare(make_pairs("+-" * 10 + "=" * 80), rules).looks[-1].wins_needed
    assert binom.sf(needed - 1, 20, (1 + effect / 0.2) / 2) >= 0.8
    assert binom.sf(needed - 1, 20, (1 + (effect - 0.005) / 0.2) / 2) < 0.8


def test_a_policy_that_always_succeeds_leaves_no_effect_to_detect():
    assert minimum_detectable_effect(make_rules(), 1.0) is None


# The order of the decision rules.

EVEN = "+-========" * 10
BETTER = "+++=======" * 10
WORSE = "---=======" * 10
SLIGHTLY_BETTER = "-=++======" * 10
SLIGHTLY_WORSE = "-==0=+-===" * 10


def test_the_first_candidate_is_blessed_above_the_floor_only():
    blessed = judge("=" * 12 + "0" * 88, blessed=None)
    assert blessed.verdict == "promote"
    assert "12 of 100 episodes" in blessed.reason
    assert blessed.evidence.blessed is None
    assert blessed.evidence.minimum_detectable_effect > 0
    assert judge("=" * 6 + "0" * 94, blessed=None).verdict == "iterate"
    assert judge("=" * 6 + "0" * 94, blessed=None, floor=0.01).verdict == "promote"


AT_TARGET = {"target": 0.95, "first_blessing_may_stop": True}


def test_the_first_candidate_stops_the_loop_where_its_lower_bound_reaches_the_target():
    stopped = judge("=" * 100, blessed=None, **AT_TARGET)
    assert stopped.verdict == "stop"
    assert "100 of 100 episodes" in stopped.reason
    assert "reaches the target of 95.0%, so it is blessed" in stopped.reason
    assert judge("=" * 99 + "0", blessed=None, **AT_TARGET).verdict == "promote"
    bound = score(80, 100).low
    for target, verdict in ((bound, "stop"), (math.nextafter(bound, 1), "promote"), (None, "promote")):
        rules = AT_TARGET | {"target": target}
        assert judge("=" * 80 + "0" * 20, blessed=None, **rules).verdict == verdict
    assert judge("=" * 100, blessed=None, target=0.95).verdict == "promote"


@pytest.mark.parametrize("episodes", [20, 100])
@pytest.mark.parametrize("target", [0.3, 0.5, 0.8, 0.9])
def test_the_first_candidate_stops_falsely_within_half_the_level_of_its_interval(episodes, target):
    rules = {"max_pairs": episodes, "look_every": episodes, "target": target, "first_blessing_may_stop": True}
    verdicts = [
        judge("=" * successes + "0" * (episodes - successes), blessed=None, **rules).verdict
        for successes in range(episodes + 1)
    ]
    chances = binom.pmf(range(episodes + 1), episodes, target)
    error = sum(chance for chance, verdict in zip(chances, verdicts, strict=True) if verdict == "stop")
    least = verdicts.index("stop") if "stop" in verdicts else episodes + 1
    assert verdicts[least:] == ["stop"] * (episodes + 1 - least)
    assert error <= 0.025 < error + chances[least - 1]


def test_a_candidate_at_the_target_is_tried_once():
    verdicts = [judge("=" * count + "0" * (100 - count), blessed=None, **AT_TARGET).verdict for count in range(101)]
    tried_again = verdicts.count("iterate")
    assert verdicts[:tried_again] == ["iterate"] * tried_again
    assert 0 < binom.cdf(tried_again - 1, 100, 0.95) < 1e-9


def test_the_challengers_of_a_first_candidate_that_stopped_the_loop_are_counted_from_there():
    first = make_record(judge("=" * 100, blessed=None, **AT_TARGET), candidate="blessed")
    challenger = make_record(judge(SLIGHTLY_WORSE), cycle=2)
    assert judge(SLIGHTLY_WORSE, [challenger, first, challenger]).verdict == "iterate"
    assert judge(SLIGHTLY_WORSE, [first, challenger, challenger]).verdict == "escalate"
    assert judge("=" * 100, [first], **AT_TARGET).verdict == "stop"


def test_a_candidate_is_blessed_by_a_promotion_and_by_a_stop_that_found_none_blessed():
    plateau = judge(SLIGHTLY_WORSE, [make_record(judge(SLIGHTLY_WORSE))] * 2, last_rung=True)
    first = judge("=" * 100, blessed=None, **AT_TARGET)
    reached = judge(WORSE, target=0.8)
    assert [decision.verdict for decision in (plateau, first, reached)] == ["stop"] * 3
    assert [decision.blesses for decision in (plateau, first, reached)] == [False, True, False]
    assert judge(BETTER).blesses
    assert judge("=" * 80 + "0" * 20, blessed=None).blesses
    assert not judge("0" * 100, blessed=None).blesses
    assert not judge(EVEN).blesses
    assert not judge(WORSE).blesses


def test_an_unfinished_comparison_is_not_decided():
    with pytest.raises(EvidenceError, match="unfinished after 20 pairs"):
        judge("=" * 20)


def test_a_better_candidate_is_promoted_before_the_target_stops_the_loop():
    decision = judge(BETTER, target=0.1)
    assert decision.verdict == "promote"
    assert "won 12 and lost 0 of 40 pairs" in decision.reason


def test_the_target_stops_the_loop_by_the_lower_bound_of_the_blessed_checkpoint_before_a_rollback():
    reached = judge(WORSE, target=0.8)
    assert (reached.verdict, reached.evidence.comparison.state) == ("stop", "worse")
    assert "target of 80.0%" in reached.reason
    assert judge(WORSE, target=0.97).verdict == "rollback"


def test_a_worse_candidate_is_rolled_back_before_a_plateau_is_seen():
    history = [make_record(judge(SLIGHTLY_WORSE))] * 5
    assert judge(WORSE, history).verdict == "rollback"


def test_a_vetoed_candidate_iterates_and_the_task_is_named():
    signs = "".join("+" + ("-" if place < 12 else "=") for place in range(50))
    decision = judge(signs, tasks=("reach", "push"), look_every=100)
    assert decision.verdict == "iterate"
    assert "provably got worse on push" in decision.reason
    assert judge(signs, tasks=("reach", "push"), look_every=100, target=0.3).verdict == "stop"


def test_a_plateau_escalates_and_the_last_rung_stops():
    history = [make_record(judge(SLIGHTLY_WORSE))] * 2
    escalated = judge(SLIGHTLY_WORSE, history)
    assert escalated.verdict == "escalate"
    assert "3 challengers" in escalated.reason
    assert judge(SLIGHTLY_WORSE, history, last_rung=True).verdict == "stop"


@pytest.mark.parametrize(
    ("history", "changes"),
    [
        pytest.param([{}], {}, id="too few challengers"),
        pytest.param([{}, {}, {"promoted": True}, {}], {}, id="the count starts anew at a promotion"),
        pytest.param([{"rung": 0}, {"rung": 0}, {"rung": 1}], {"rung": 1}, id="the count starts anew on a rung"),
        pytest.param([{"tasks": ("push",)}, {"tasks": ("push",)}], {}, id="another suite does not count"),
        pytest.param([{"signs": SLIGHTLY_BETTER}] * 2, {}, id="a gain of min_effect is not excluded"),
        pytest.param([{}, {}], {"floor": 0.9}, id="the blessed checkpoint is not above the floor"),
    ],
)
def test_what_is_no_plateau_iterates(history, changes):
    records = []
    for cycle, entry in enumerate(history, start=1):
        if entry.get("promoted"):
            records.append(make_record(judge(BETTER), cycle=cycle, candidate="blessed"))
        else:
            decision = judge(entry.get("signs", SLIGHTLY_WORSE), tasks=entry.get("tasks", ("reach",)))
            records.append(make_record(decision, cycle=cycle, rung=entry.get("rung", 0)))
    assert judge(SLIGHTLY_WORSE, records, **changes).verdict == "iterate"


def test_candidates_before_the_first_blessing_are_no_challengers():
    history = [make_record(judge("0" * 100, blessed=None))] * 5
    assert judge(SLIGHTLY_WORSE, history).verdict == "iterate"


def test_repeating_a_challenger_adds_no_certainty_to_the_plateau():
    once = compare(make_pairs(SLIGHTLY_WORSE), make_rules())
    wins, losses, pairs = once.signs.count("+") + 1, once.signs.count("-") + 1, len(once.signs) + 2
    mean = (wins - losses) / pairs
    bonett_price = mean + 1.6448536 * math.sqrt(((wins + losses) / pairs - mean**2) / pairs)
    assert plateau_bound([once], 0.05) == pytest.approx(bonett_price)
    assert plateau_bound([once] * 10, 0.05) == pytest.approx(bonett_price)


def test_challengers_that_differ_sharpen_the_plateau():
    first, second = (compare(make_pairs(signs), make_rules(look_every=100)) for signs in ("+-" * 50, "-+" * 50))
    assert plateau_bound([first, second], 0.05) < plateau_bound([first], 0.05)


def test_the_blessed_score_uses_every_outcome_since_its_promotion():
    outcomes = make_outcomes(BETTER)
    early = outcomes.model_copy(update={"candidate": outcomes.candidate[:40]})
    evidence = decide(early, ["reach"], [], make_rules(), last_rung=False, rung=0).evidence
    assert (evidence.candidate.episodes, evidence.blessed.episodes) == (40, 100)
    assert evidence.task_scores == {"reach": (evidence.candidate, evidence.blessed)}


def test_a_decision_survives_its_record():
    decision = judge(EVEN)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


# What is refused.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha_promote": 0.5}, "alpha_promote"),
        ({"alpha_rollback": 0.0}, "alpha_rollback"),
        ({"rho": 0.0}, "rho"),
        ({"rho": math.inf}, "rho"),
        ({"look_every": 0}, "look_every"),
        ({"look_every": 200}, "look_every should be at most max_pairs"),
        ({"futility_power": 0.4}, "futility_power"),
        ({"min_effect": 0.0}, "min_effect"),
        ({"plateau_cycles": 0}, "plateau_cycles"),
        ({"floor": 1.0}, "floor"),
        ({"target": 0.05}, "target should be above the floor"),
        ({"lineage": "tail"}, "lineage"),
        ({"alpha": 0.05}, "alpha"),
    ],
)
def test_rules_out_of_range_are_refused_by_name(changes, message):
    with pytest.raises(ValidationError, match=message):
        make_rules(**changes)


def test_the_schedule_ends_at_max_pairs():
    assert schedule(make_rules(), 10) == (20, 40, 60, 80, 100)
    assert schedule(make_rules(look_every=30), 10) == (30, 60, 90, 100)


@pytest.mark.parametrize(("changes", "name"), [({}, "look_every"), ({"look_every": 21}, "max_pairs")])
def test_looks_that_favour_a_task_are_refused(changes, name):
    with pytest.raises(ParameterError, match=f"{name} should be a multiple"):
        schedule(make_rules(**changes), 7)


def _swapped(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    return outcomes[1], outcomes[0], *outcomes[2:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda o: {"candidate": _swapped(o.candidate)}, "Outcome 0 of the candidate should be of task reach"),
        (lambda o: {"blessed": _swapped(o.blessed)}, "Outcome 0 of the blessed should be of task reach"),
        (lambda o: {"candidate": o.candidate[:3] + o.candidate[4:]}, "Outcome 3 .* should be of task push"),
        (lambda o: {"candidate": o.candidate[:4] + o.candidate[:2]}, "Outcome 4 .* repeats task reach on seed 0"),
        (lambda o: {"blessed": o.blessed[:4] + o.blessed[:2]}, "Outcome 4 of the blessed repeats"),
        (lambda o: {"blessed": o.blessed[2:]}, "has 6 outcomes, the blessed checkpoint 4"),
        (lambda o: {"blessed": o.blessed[2:] + o.blessed[:2]}, "Pair 0 .* seed 0, the blessed checkpoint on 2"),
        (lambda o: {"blessed_digest": None}, "blessed_digest is missing"),
        (lambda o: {"blessed_digest": "candidate"}, "are the same"),
        (lambda o: {"blessed": ()}, "needs a partner"),
    ],
)
def test_outcomes_that_do_not_pair_are_refused(damage, message):
    outcomes = make_outcomes("+-=0+-", ("reach", "push"))
    with pytest.raises(EvidenceError, match=message):
        pair_outcomes(outcomes.model_copy(update=damage(outcomes)), ["reach", "push"])


def test_outcomes_pair_in_their_order():
    assert pair_outcomes(make_outcomes("+-=0", ("reach", "push")), ["reach", "push"]) == tuple(
        make_pairs("+-=0", ("reach", "push"))
    )
    assert pair_outcomes(make_outcomes("+-=0", blessed=None), ["reach"]) == ()


def test_outcomes_against_a_checkpoint_that_was_not_blessed_last_are_refused():
    with pytest.raises(EvidenceError, match="cycle 4 blessed newer"):
        judge(EVEN, [make_record(judge(BETTER), cycle=4, candidate="newer")])
    with pytest.raises(EvidenceError, match="cycle 4 blessed newer"):
        judge(EVEN, [make_record(judge("=" * 100, blessed=None, **AT_TARGET), cycle=4, candidate="newer")])


def test_a_candidate_that_was_not_evaluated_is_refused():
    with pytest.raises(EvidenceError, match="no outcomes"):
        judge("", blessed=None)


def test_the_gate_depends_on_records_and_arithmetic_alone():
    files = Path(gate.__file__).parent.glob("*.py")
    imported = {
        name
        for node in (node for file in files for node in ast.walk(ast.parse(file.read_text())))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {
        "collections.abc",
        "dataclasses",
        "functools",
        "itertools",
        "leagents_kedro.errors",
        "leagents_kedro.gate.evidence",
        "leagents_kedro.gate.rules",
        "leagents_kedro.gate.sequential",
        "leagents_kedro.records",
        "numpy",
        "pydantic",
        "scipy.special",
        "typing",
    }
