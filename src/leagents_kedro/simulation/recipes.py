"""How a demonstration is amplified: source and plan are found by trial, in scenes that generation does not use."""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import product

import numpy as np

from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.records import AmplificationPlan, Recipe
from leagents_kedro.simulation.replays import Replay
from leagents_kedro.simulation.sources import GOAL, WORLD, Source

type Attempt = Callable[[Sequence[Replay]], list[bool]]
type Search = Generator[list[Replay], list[bool], Recipe]

_FIRST, _ALL = 3, 11  # scenes in which a plan is tried, and in which a promising one is
_LIKELY, _PLANS, _FINALISTS = 3, 16, 4  # plans of a source: tried first, at all, and in all scenes
_GOOD, _FAIR = 0.9, 0.8  # rates at which no variant of a plan, and no other source, is tried
_WORTHWHILE = 0.6  # rate in the first scenes at which a variant is tried in all
_VARIANTS: tuple[dict[str, float], ...] = (
    {"tolerance": 0.05},
    {"blend": 0.4, "tolerance": 0.05},
    {"blend": 1.0},
    {"blend": 1.0, "tolerance": 0.06},
    {"early": 6, "tolerance": 0.05},
    {"gain": 10.0},
)
MOST_TRIALS = (_PLANS + len(_VARIANTS)) * _ALL
"""Replays that a search may try of one task with one source."""


def search(sources: Sequence[Source], frames: Sequence[str], seed_names: tuple[str | int, ...]) -> Search:
    """Yield replays to be tried, take whether each succeeded, and return the best recipe.

    The likely plans of every source are tried in few scenes, the shortest source first, and what succeeds there in
    more. Where none is good, so are all plans of each source, and variants of the best in how the path is followed.

    Args:
        sources: Demonstrations of one task.
        frames: What a segment can be moved with: `sources.distinct_frames`.
        seed_names: The scenes' seeds derive from these and the task.
    """
    known = sorted((_Trials(number, source, seed_names) for number, source in enumerate(sources)), key=_Trials.length)
    for trials in known:
        plan = yield from _good_plan(trials, _plans(trials.source, frames)[:_LIKELY])
        if plan:
            break
    for trials in () if plan else known:
        plan = yield from _best_plan(trials, _plans(trials.source, frames))
        if trials.rate(plan) >= _FAIR:
            break
    best = max(known, key=_Trials.reached)
    plan = best.leaders()[0]
    spent = sum(trials.count for trials in known)
    return Recipe(task=best.source.task, source=best.number, plan=plan, rate=best.rate(plan), trials=spent)


def run_searches(searches: dict[str, Search], attempt: Attempt) -> Iterator[tuple[str, Recipe]]:
    """Run the searches side by side, what they try in a turn together; yield what each found, by its name."""
    waiting = {name: next(search) for name, search in searches.items()}
    while waiting:
        replays = [replay for wanted in waiting.values() for replay in wanted]
        outcomes = iter(attempt(replays))
        answers = {name: [next(outcomes) for _ in wanted] for name, wanted in waiting.items()}
        for name, answer in answers.items():
            try:
                waiting[name] = searches[name].send(answer)
            except StopIteration as found:
                del waiting[name]
                yield name, found.value


def _plans(source: Source, frames: Sequence[str]) -> list[AmplificationPlan]:
    """Return assignments of frames to segments, the likely ones first.

    A segment is likely about the thing that moves first after it began, the last one about the goal.
    """
    segments = len(source.contacts) + 1
    first = source.contacts[0][1] if source.contacts else None
    last = GOAL if GOAL in frames else frames[0]

    def unlikely(names: tuple[str, ...]) -> float:
        wrong = (first is not None and names[0] != (first if first in frames else WORLD)) + (names[-1] != last)
        return wrong + sum(0.3 * (name == WORLD) + 0.6 * (" towards " in name) for name in names)

    likely = sorted(product(frames, repeat=segments), key=unlikely)
    return [AmplificationPlan(frames=names) for names in likely[:_PLANS]]


class _Trials:
    """What became of the plans that were tried with one source, all in the same scenes."""

    def __init__(self, number: int, source: Source, seed_names: tuple[str | int, ...]):
        names = ("recipe", *seed_names, source.task)
        self._seeds = [derive_seed("demonstration", *names, index=index) for index in range(_ALL)]
        self.number, self.source = number, source
        self._successes: dict[AmplificationPlan, list[bool]] = {}

    def length(self) -> int:
        """Return how many steps the source has."""
        return len(self.source.actions)

    @property
    def count(self) -> int:
        """How many replays were tried."""
        return sum(map(len, self._successes.values()))

    def rate(self, plan: AmplificationPlan) -> float:
        """Return the share of successes of a plan that was tried."""
        return float(np.mean(self._successes[plan]))

    def reached(self) -> float:
        """Return the greatest rate of those that were tried in all scenes."""
        return max((self.rate(plan) for plan, known in self._successes.items() if len(known) == _ALL), default=0.0)

    def leaders(self) -> list[AmplificationPlan]:
        """Return the plans, those that were tried most first, among them those that succeeded most."""
        return sorted(self._successes, key=lambda plan: (-len(self._successes[plan]), -self.rate(plan)))

    def attempt(self, plan: AmplificationPlan, scenes: int) -> Generator[list[Replay], list[bool], float]:
        """Try a plan in so many scenes, less those in which it was tried; return its rate."""
        known = self._successes.setdefault(plan, [])
        if missing := self._seeds[len(known) : scenes]:
            known += yield [Replay(self.source.task, seed, self.source, plan) for seed in missing]
        return self.rate(plan)


def _good_plan(
    trials: _Trials, plans: Sequence[AmplificationPlan]
) -> Generator[list[Replay], list[bool], AmplificationPlan | None]:
    """Try plans until one is good."""
    for plan in plans:
        if (yield from trials.attempt(plan, _FIRST)) == 1 and (yield from trials.attempt(plan, _ALL)) >= _GOOD:
            return plan
    return None


def _best_plan(
    trials: _Trials, plans: Sequence[AmplificationPlan]
) -> Generator[list[Replay], list[bool], AmplificationPlan]:
    """Try plans until one is good, then variants of the best; return the best of all."""
    good = yield from _good_plan(trials, plans)
    if good:
        return good
    promising = sorted(plans, key=trials.rate, reverse=True)[:_FINALISTS]
    for plan in promising:
        yield from trials.attempt(plan, _ALL)
    leader = trials.leaders()[0]
    for variant in _VARIANTS:
        if trials.reached() >= _GOOD:
            break
        varied = leader.model_copy(update=variant)
        if (yield from trials.attempt(varied, _FIRST)) > _WORTHWHILE:
            yield from trials.attempt(varied, _ALL)
    return trials.leaders()[0]
