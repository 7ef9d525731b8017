"""The search finds a plan that works, in few trials, and the same one each time."""

import hashlib
import random
from collections.abc import Callable, Sequence
from itertools import product

import pytest

from leagents_kedro.records import AmplificationPlan, Recipe
from leagents_kedro.simulation.recipes import MOST_TRIALS, run_searches, search
from leagents_kedro.simulation.replays import Replay
from leagents_kedro.simulation.sources import GOAL, WORLD, Source
from support.sources import source

FRAMES = ["object", GOAL, WORLD]
MANY = ["object", GOAL, "lid", WORLD]
ALL = 11
ONE, LONGER = source(40), source(60)
LIKELY = ("object", GOAL)


def searched(
    works: Callable[[Replay], bool], sources: Sequence[Source] = (ONE,), frames: Sequence[str] = FRAMES
) -> tuple[Recipe, list[Replay]]:
    """Return the recipe where an attempt succeeds if it ``works``, and all that was tried."""
    tried: list[Replay] = []

    def attempt(replays: Sequence[Replay]) -> list[bool]:
        tried.extend(replays)
        return [works(replay) for replay in replays]

    ((_, recipe),) = run_searches({"": search(sources, frames, (0,))}, attempt)
    return recipe, tried


def by_chance(rate: float) -> Callable[[Replay], bool]:
    """Succeed in this share, which depends on seed, source, and plan alone."""

    def works(replay: Replay) -> bool:
        told = repr((replay.seed, len(replay.source.hand), replay.plan)).encode()
        return random.Random(hashlib.sha256(told).digest()).random() < rate

    return works


@pytest.mark.parametrize("frames", list(product(FRAMES, repeat=2)))
def test_the_one_plan_that_works_is_found(frames):
    recipe, _ = searched(lambda replay: replay.plan.frames == frames)
    assert (recipe.plan.frames, recipe.rate, recipe.source) == (frames, 1.0, 0)


def test_the_likely_plan_is_tried_first_and_alone_where_it_works():
    recipe, tried = searched(lambda replay: True)
    assert recipe == Recipe(task="task", source=0, plan=AmplificationPlan(frames=LIKELY), rate=1, trials=ALL)
    assert {replay.plan for replay in tried} == {recipe.plan}
    assert len({replay.seed for replay in tried}) == ALL


def test_the_shortest_source_is_tried_first():
    recipe, tried = searched(lambda replay: True, [LONGER, ONE])
    assert recipe.source == 1
    assert {id(replay.source) for replay in tried} == {id(ONE)}


def test_another_source_is_taken_where_the_first_has_no_good_plan():
    recipe, _ = searched(lambda replay: replay.source is LONGER, [ONE, LONGER])
    assert (recipe.source, recipe.plan.frames, recipe.rate) == (1, LIKELY, 1)
    rare = ("lid", "lid")
    recipe, _ = searched(lambda r: r.source is LONGER and r.plan.frames == rare, [ONE, LONGER], MANY)
    assert (recipe.source, recipe.plan.frames, recipe.rate) == (1, rare, 1)


@pytest.mark.parametrize(("name", "value"), [("tolerance", 0.05), ("blend", 1.0), ("early", 6), ("gain", 10)])
def test_a_variant_of_the_best_plan_is_found(name, value):
    half = by_chance(0.5)
    recipe, _ = searched(lambda r: r.plan.frames == LIKELY and (getattr(r.plan, name) == value or half(r)))
    assert recipe.plan.frames == LIKELY
    assert getattr(recipe.plan, name) == value
    assert recipe.rate >= 0.9


def test_where_nothing_works_the_rate_says_so():
    recipe, tried = searched(lambda replay: False, [ONE, LONGER])
    assert recipe.rate == 0
    assert recipe.trials == len(tried)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8, 0.9])
def test_trials_are_limited_counted_and_never_repeated(rate):
    recipe, tried = searched(by_chance(rate), [ONE, LONGER], MANY)
    assert recipe.trials == len(tried) <= 2 * MOST_TRIALS
    assert len({(replay.seed, len(replay.source.hand), replay.plan) for replay in tried}) == len(tried)
    kept = [replay for replay in tried if replay.plan == recipe.plan and replay.source is (ONE, LONGER)[recipe.source]]
    assert recipe.rate == sum(map(by_chance(rate), kept)) / ALL


def test_plans_that_only_promise_do_not_exceed_the_limit():
    """The worst case: every plan succeeds in the scenes that are tried first, and in no other."""
    first = {replay.seed for replay in next(search([ONE], MANY, (0,)))}
    _, tried = searched(lambda replay: replay.seed in first, frames=MANY)
    assert len(first) == 3
    assert len(tried) == MOST_TRIALS


def test_the_same_answers_give_the_same_recipe_alone_or_beside_others():
    works = by_chance(0.7)
    alone = searched(works, [ONE, LONGER], MANY)[0]
    assert alone == searched(works, [ONE, LONGER], MANY)[0]
    beside = {"a": search([ONE, LONGER], MANY, (0,)), "b": search([source(50)], FRAMES, (0,))}
    found = dict(run_searches(beside, lambda replays: list(map(works, replays))))
    assert found["a"] == alone
    assert found["b"] == searched(works, [source(50)])[0]


def test_scenes_depend_on_the_names_of_the_seeds():
    one, other = (next(search([ONE], FRAMES, (number,))) for number in range(2))
    assert not {replay.seed for replay in one} & {replay.seed for replay in other}
