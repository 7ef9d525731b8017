"""The first demonstrations: imported, or collected from scripted experts."""

from pathlib import Path

from leagents_kedro.constitution import Constitution, require
from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.shards import NewEpisodes, Shards
from leagents_kedro.jobs import simulation_job
from leagents_kedro.progress import progress_bar
from leagents_kedro.simulation.experts import collect_demonstrations
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.suites import resolve_suite
from leagents_kedro.suite import SuiteParams

from .params import DemonstrationParams


def seed_mix(
    suite: SuiteParams, demonstrations: DemonstrationParams, run_seed: int, constitution: Constitution
) -> NewEpisodes | Shards:
    """Return what the first candidate is trained on.

    Raises:
        ConstitutionError: The collection would break a limit.
        DatasetError: The folder or Hub dataset is no complete LeRobotDataset v3.
    """
    if demonstrations.source == "experts":
        tasks = resolve_suite(suite.environment, suite.tasks)
        requests = {task.name: demonstrations.initial_per_task for task in tasks}
        return collect_episodes(suite, demonstrations, requests, run_seed, 0, constitution)
    if demonstrations.source == "folder":
        return check_dataset(Path(str(demonstrations.folder)).expanduser())
    return check_dataset(_downloaded(str(demonstrations.repo_id), str(demonstrations.revision)))


def collect_episodes(
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
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
    with (
        EnvironmentPool(suite.environment, suite.options) as pool,
        progress_bar("collect", total, "episode") as show,
    ):
        episodes = collect_demonstrations(
            requests,
            pool,
            seed_names=(run_seed, cycle),
            first_index=dict.fromkeys(requests, 0),
            action_noise=demonstrations.action_noise,
            max_attempts_factor=demonstrations.max_attempts_factor,
            progress=lambda done, task: show(done, task),
        )
        return NewEpisodes(tuple(episodes), pool.features, pool.fps, suite.environment)


def _downloaded(repo_id: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repo_id, repo_type="dataset", revision=revision))
