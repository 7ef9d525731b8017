"""What the mix lacks since tasks were added to the suite: demonstrations by experts."""

from pathlib import Path

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.episodes.shards import Appended, NewEpisodes, Shards
from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.typed import typed
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.simulation.collection import collect_episodes
from leagents_kedro.simulation.suites import resolve_suite


def demonstrate_added_tasks(
    mix: Shards,
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    run_seed: int,
    constitution: Constitution,
    recipes: Path,
) -> NewEpisodes | None:
    """Return ``initial_per_task`` demonstrations of each task without episodes in the mix; None lacks nothing.

    Raises:
        ConstitutionError: The attempts, or the environment, are beyond the limits.
        ParameterError: Demonstrations are not the experts'.
    """
    resolved = resolve_suite(suite, evaluation, constitution)
    known = {mix.tasks[task] for task in set(mix.index.task.tolist())}
    added = [task.name for task in resolved.tasks if task.sentence not in known]
    if not added:
        return None
    if not demonstrations.grows:
        raise ParameterError(
            f"demonstrations.source is '{demonstrations.source}', which cannot add {', '.join(added)}; set it to "
            f"experts, or import a dataset that has all tasks: {typed('run --pipelines=seed')}, then "
            f"{typed('loop adopt RUN_ID --by NAME')}"
        )
    requests = dict.fromkeys(added, demonstrations.initial_per_task)
    new = collect_episodes(resolved, demonstrations, evaluation, requests, run_seed, 0, constitution, recipes)
    return new.like(mix)


def append_demonstrations(mix: Shards, demonstrations: Shards | None) -> Shards | Appended:
    """Return the mix with the demonstrations after it."""
    return Appended(mix, (demonstrations,)) if demonstrations else mix
