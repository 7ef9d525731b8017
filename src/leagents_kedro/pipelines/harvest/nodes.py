"""New episodes for the next cycle: successes of the blessed policy, and more demonstrations where they are missing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.episodes.shards import Appended, NewEpisodes, Shards
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.gate.evidence import score
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.harvest import HarvestParams
from leagents_kedro.records import Checkpoint, Decision, Outcomes, Plan, Suite
from leagents_kedro.simulation.collection import collect_episodes
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.simulator import policy_file, simulator


def harvest_rollouts(
    decision: Decision,
    blessed: Checkpoint | None,
    plan: Plan,
    mix: Shards,
    suite: Suite,
    harvest: HarvestParams,
    evaluation: EvaluationParams,
    run_seed: int,
    constitution: Constitution,
) -> NewEpisodes | None:
    """Return successful episodes of a promoted policy, on seeds that nothing else uses; None keeps none.

    Raises:
        ConstitutionError: The attempts, or the environment, are beyond the limits.
    """
    if decision.verdict != "promote" or blessed is None or not plan.harvest_attempts:
        return None
    trials = [
        Trial(task, derive_seed("harvest", run_seed, blessed.digest, task, index=index))
        for index in range(plan.harvest_attempts // len(suite.tasks))
        for task in suite.names
    ]
    require(constitution, simulation_command(suite, plan.harvest_attempts))
    with progress_bar("harvest", len(trials), "episode") as show:
        rolled = simulator(suite, evaluation).roll_out(
            policy_file(blessed, evaluation),
            trials,
            slots=evaluation.slots,
            keep_episodes=True,
            progress=lambda done, successes: show(done, f"{successes} successes"),
        )
    kept: Counter[str] = Counter()
    episodes = []
    for outcome, episode in rolled:
        if episode and kept[outcome.task] < harvest.keep_per_task:
            kept[outcome.task] += 1
            episodes.append(episode)
    return NewEpisodes(tuple(episodes), suite.features, suite.fps, suite.environment).like(mix) if episodes else None


def collect_demonstrations(
    decision: Decision,
    candidate: Checkpoint,
    outcomes: Outcomes,
    plan: Plan,
    mix: Shards,
    suite: Suite,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    run_seed: int,
    constitution: Constitution,
    recipes: Path,
) -> NewEpisodes | None:
    """Return more demonstrations, most of the tasks that fail; None where the schedule asks for none.

    With ``demonstrations.corrections`` the candidate takes turns in them: it is what is trained on.
    Where attempts do not succeed often enough there are fewer: what the cycle found out is worth more.

    Raises:
        ConstitutionError: The attempts, or the environment, are beyond the limits.
    """
    if not demonstrations.grows or decision.verdict == "stop":
        return None
    requests = _requests(outcomes, mix, suite, demonstrations)
    if not requests:
        return None
    require(constitution, simulation_command(suite, sum(requests.values()) * demonstrations.max_attempts_factor))
    new = collect_episodes(
        suite,
        demonstrations,
        evaluation,
        requests,
        run_seed,
        plan.cycle,
        constitution,
        recipes,
        candidate=candidate,
        demands_all=False,
    )
    return new.like(mix) if new.episodes else None


def merge_rollouts(
    mix: Shards, rollouts: Shards | None, demonstrations: Shards | None, plan: Plan, harvest: HarvestParams
) -> Shards | Appended:
    """Return the next mix: this one, with the new episodes appended, and every so many cycles in few files."""
    additions = tuple(shards for shards in (rollouts, demonstrations) if shards is not None)
    compacted = harvest.compact_every_cycles is not None and plan.cycle % harvest.compact_every_cycles == 0
    return Appended(mix, additions, compacted) if additions or compacted else mix


def _requests(outcomes: Outcomes, mix: Shards, suite: Suite, demonstrations: DemonstrationParams) -> dict[str, int]:
    counts = dict(zip(mix.tasks, np.bincount(mix.index.task, minlength=len(mix.tasks)).tolist(), strict=True))
    rooms = {task.name: demonstrations.cap_per_task - counts.get(task.sentence, 0) for task in suite.tasks}
    if demonstrations.allocation == "uniform":
        wanted = {name: min(demonstrations.growth_per_task, room) for name, room in rooms.items()}
    else:
        missing = _missing(outcomes, suite.names, demonstrations.solved_above)
        wanted = allotted(demonstrations.growth_per_task * len(rooms), missing, rooms)
    return {name: count for name, count in wanted.items() if count > 0}


def _missing(outcomes: Outcomes, tasks: Iterable[str], solved_above: float | None) -> dict[str, float]:
    """Return the rate at which each task may fail yet, by the upper bound of its evidence; 0 of a solved one."""
    missing = {}
    for task in tasks:
        successes = [outcome.success for outcome in outcomes.candidate if outcome.task == task]
        low = score(sum(successes), len(successes)).low
        missing[task] = 0 if solved_above is not None and low > solved_above else 1 - low
    return missing


def allotted(total: int, weights: Mapping[str, float], rooms: Mapping[str, int]) -> dict[str, int]:
    """Return how many of ``total`` each name gets: in proportion to ``weights``, none beyond its room.

    One after the other goes to whoever has the greatest weight for what it has (Webster's method), the first of equals.

    >>> allotted(10, {"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 4, "b": 9, "c": 9})
    {'a': 4, 'b': 5, 'c': 1}
    """
    given = dict.fromkeys(weights, 0)
    for _ in range(total):
        open_names = [name for name, weight in weights.items() if weight > 0 and given[name] < rooms[name]]
        if not open_names:
            break
        given[max(open_names, key=lambda name: weights[name] / (2 * given[name] + 1))] += 1
    return given
