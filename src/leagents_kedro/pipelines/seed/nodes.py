"""The first demonstrations: imported, or collected from scripted experts."""

from functools import partial
from pathlib import Path

from leagents_kedro.constitution import Constitution, require
from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.doctor.needs import Needs
from leagents_kedro.episodes.shards import NewEpisodes, Shards
from leagents_kedro.errors import DatasetError
from leagents_kedro.foundation.findings import stop_at_errors
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.jobs import simulation_job
from leagents_kedro.pipelines.evaluation.looks import simulator
from leagents_kedro.pipelines.evaluation.params import EvaluationParams
from leagents_kedro.simulation.experts import collect_demonstrations
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.suites import resolve_suite
from leagents_kedro.suite import SuiteParams

from .params import DemonstrationParams


def seed_mix(
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    run_seed: int,
    constitution: Constitution,
) -> NewEpisodes | Shards:
    """Return what the first candidate is trained on.

    Raises:
        ConstitutionError: The collection would break a limit.
        DatasetError: The folder or Hub dataset has a fault, or does not fit the suite; the message names all.
    """
    if demonstrations.source == "experts":
        tasks = resolve_suite(suite.environment, suite.tasks)
        requests = {task.name: demonstrations.initial_per_task for task in tasks}
        return collect_episodes(suite, demonstrations, evaluation, requests, run_seed, 0, constitution)
    local = demonstrations.source == "folder"
    root = (
        Path(str(demonstrations.folder)).expanduser()
        if local
        else _downloaded(str(demonstrations.repo_id), str(demonstrations.revision))
    )
    stop_at_errors(examine_dataset(root, Needs.of(suite)), DatasetError)
    return Shards(root)


def collect_episodes(
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    requests: dict[str, int],
    run_seed: int,
    cycle: int,
    constitution: Constitution,
) -> NewEpisodes:
    """Return ``requests`` successful expert episodes by task, on seeds that belong to ``cycle`` alone.

    Raises:
        ConstitutionError: The attempts, or the environment, are beyond the limits.
    """
    total = sum(requests.values())
    require(constitution, simulation_job(suite, total * demonstrations.max_attempts_factor))
    with progress_bar("collect", total, "episode") as show:
        episodes = collect_demonstrations(
            requests,
            partial(
                simulator(suite, evaluation).demonstrate,
                action_noise=demonstrations.action_noise,
                progress=lambda attempts, successes: show(successes, f"{attempts} attempts"),
            ),
            seed_names=(run_seed, cycle),
            max_attempts_factor=demonstrations.max_attempts_factor,
        )
    pool = EnvironmentPool(suite.environment, suite.options)
    return NewEpisodes(tuple(episodes), pool.features, pool.fps, suite.environment)


def _downloaded(repo_id: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repo_id, repo_type="dataset", revision=revision))
