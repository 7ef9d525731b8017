"""The first demonstrations: imported, or collected from scripted experts."""

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
from leagents_kedro.simulation.collection import collect_episodes
from leagents_kedro.simulation.suites import resolve_suite


def seed_mix(
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    run_seed: int,
    constitution: Constitution,
) -> NewEpisodes | Imported:
    """Return what the first candidate is trained on.

    Raises:
        ConstitutionError: The collection would break a limit.
        EpisodesError: The folder or Hub dataset has a fault, or does not fit the suite; the message names all.
    """
    resolved = resolve_suite(suite, evaluation, constitution)
    if demonstrations.source == "experts":
        requests = dict.fromkeys(resolved.names, demonstrations.initial_per_task)
        return collect_episodes(resolved, demonstrations, evaluation, requests, run_seed, 0, constitution)
    local = demonstrations.source == "folder"
    root = (
        Path(str(demonstrations.folder)).expanduser()
        if local
        else _downloaded(str(demonstrations.repo_id), str(demonstrations.revision))
    )
    stop_at_errors(examine_dataset(root, resolved), EpisodesError)
    source = Shards(root)
    return Imported(source, taken_over(source.features, resolved.features))


def _downloaded(repo_id: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repo_id, repo_type="dataset", revision=revision))
