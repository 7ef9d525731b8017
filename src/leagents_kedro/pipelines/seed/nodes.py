"""The first demonstrations: imported, collected from scripted experts, or amplified from few."""

from pathlib import Path

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.episodes.columns import taken_over
from leagents_kedro.episodes.shards import Imported, NewEpisodes, Shards
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.findings import stop_at_errors
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.simulation.collection import collect_episodes, demonstrated_dataset
from leagents_kedro.simulation.suites import resolve_suite


def seed_mix(
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    run_seed: int,
    constitution: Constitution,
    recipes: Path,
) -> NewEpisodes | Imported:
    """Return what the first candidate is trained on.

    Raises:
        ConstitutionError: The collection would break a limit.
        EpisodesError: The folder or Hub dataset has a fault, or does not fit the suite; the message names all.
    """
    resolved = resolve_suite(suite, evaluation, constitution)
    if demonstrations.source != "experts":
        root = demonstrated_dataset(demonstrations)
        stop_at_errors(examine_dataset(root, resolved), EpisodesError)
    if demonstrations.grows:
        requests = dict.fromkeys(resolved.names, demonstrations.initial_per_task)
        return collect_episodes(resolved, demonstrations, evaluation, requests, run_seed, 0, constitution, recipes)
    source = Shards(root)
    return Imported(source, taken_over(source.features, resolved.features))
