"""Successful episodes of experts, as many as are asked for."""

from functools import partial

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.episodes.shards import NewEpisodes
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.simulation.demonstrations import collect_demonstrations
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.simulator import simulator


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
    require(constitution, simulation_command(suite, total * demonstrations.max_attempts_factor))
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
