"""Successful episodes of experts, or of what is amplified, as many as are asked for."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.selection import select_episodes
from leagents_kedro.episodes.shards import Episode, NewEpisodes
from leagents_kedro.errors import SimulationError
from leagents_kedro.foundation.hub import downloaded
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.parameters.demonstrations import Amplification, DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.records import Checkpoint, Outcome, Suite
from leagents_kedro.simulation.amplification import Amplified, amplified
from leagents_kedro.simulation.corrections import Correction
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.recipes import MOST_TRIALS
from leagents_kedro.simulation.simulator import Simulator, policy_file, simulator

logger = logging.getLogger(__name__)

_ATTEMPTS_OF_SOURCES = 20  # of an expert, for each source


def collect_episodes(
    suite: Suite,
    demonstrations: DemonstrationParams,
    evaluation: EvaluationParams,
    requests: dict[str, int],
    run_seed: int,
    cycle: int,
    constitution: Constitution,
    recipes: Path,
    *,
    candidate: Checkpoint | None = None,
    demands_all: bool = True,
) -> NewEpisodes:
    """Return ``requests`` successful episodes by task, on seeds that belong to ``cycle`` alone.

    They are experts', or replays of few demonstrations where these are amplified; how that is done is kept in the
    folder ``recipes``. With ``demonstrations.corrections`` a ``candidate`` takes turns. Unless it ``demands_all``,
    there are fewer where they succeed too seldom.

    Raises:
        ConstitutionError: The attempts, or the environment, are beyond the limits.
        ParameterError: The environment has no experts, or does not tell of hand and frames.
        EpisodesError: The demonstrations to amplify cannot be read, or lack a task.
        CheckpointError: The candidate is no LeRobot checkpoint.
        SimulationError: Too few attempts succeed, or an environment failed.
    """
    total = sum(requests.values())
    require(constitution, simulation_command(suite, total * demonstrations.max_attempts_factor))
    environments = simulator(suite, evaluation)
    known: dict[str, Amplified] = {}
    if amplification := demonstrations.amplification:
        require(constitution, simulation_command(suite, MOST_TRIALS * amplification.sources_per_task))
        sources = partial(_sources, suite, demonstrations, amplification, environments, run_seed)
        known = amplified(suite, requests, demonstrations, environments, sources, run_seed, recipes)

    turns, policy = demonstrations.corrections, candidate and policy_file(candidate, evaluation)

    def trial_of(task: str, seed: int) -> Trial:
        taught = known[task].replay(seed) if known else Trial(task, seed)
        return Correction.of(taught, policy, turns) if policy and turns else taught

    with progress_bar("collect", total, "episode") as show:
        episodes = successful_episodes(
            requests,
            partial(
                environments.demonstrate,
                action_noise=demonstrations.action_noise,
                progress=lambda attempts, successes: show(successes, f"{attempts} attempts"),
            ),
            seed_names=("corrections", run_seed, cycle) if policy and turns else (run_seed, cycle),
            max_attempts_factor=demonstrations.max_attempts_factor,
            demands_all=demands_all,
            trial_of=trial_of,
        )
    return NewEpisodes(tuple(episodes), suite.features, suite.fps, suite.environment)


def demonstrated_dataset(demonstrations: DemonstrationParams) -> Path:
    """Return the folder of a dataset that was demonstrated elsewhere, downloaded if it is on the Hub.

    Raises:
        ParameterError: It is not, or cannot be reached.
    """
    if demonstrations.source == "folder":
        return Path(str(demonstrations.folder)).expanduser()
    repo_id, revision = str(demonstrations.repo_id), str(demonstrations.revision)
    return downloaded(repo_id, revision, "demonstrations.revision", repo_type="dataset")


def _sources(
    suite: Suite,
    demonstrations: DemonstrationParams,
    amplification: Amplification,
    environments: Simulator,
    run_seed: int,
    tasks: Sequence[str],
) -> dict[str, list[Episode]]:
    """Return the first demonstrations of each task, at least one and as many as may be chosen from."""
    number = amplification.sources_per_task
    if demonstrations.source != "experts":
        sentences = {task.name: task.sentence for task in suite.tasks if task.name in tasks}
        shards = check_dataset(demonstrated_dataset(demonstrations))
        chosen = select_episodes(shards.index, shards.tasks, list(sentences.values()), None)
        return {task: [shards.episode(index) for index in chosen[sentences[task]][:number]] for task in tasks}
    with progress_bar("demonstrate", number * len(tasks), "episode") as show:
        found = successful_episodes(
            dict.fromkeys(tasks, number),
            partial(environments.demonstrate, action_noise=0, progress=lambda _, successes: show(successes, "")),
            name="demonstrate",
            seed_names=("source", run_seed),
            max_attempts_factor=_ATTEMPTS_OF_SOURCES,
            demands_all=False,
        )
    sentence_of = {task.sentence: task.name for task in suite.tasks}
    sources: dict[str, list[Episode]] = {task: [] for task in tasks}
    for episode in found:
        sources[sentence_of[episode.sentence]].append(episode)
    if none := [task for task, episodes in sources.items() if not episodes]:
        raise SimulationError(f"task {', '.join(none)}: no expert succeeded, so there is nothing to amplify")
    return sources


def successful_episodes(
    requests: dict[str, int],
    attempt: Callable[[Sequence[Trial]], list[tuple[Outcome, Episode | None]]],
    *,
    seed_names: tuple[str | int, ...],
    max_attempts_factor: int,
    name: str = "collect",
    demands_all: bool = True,
    trial_of: Callable[[str, int], Trial] = Trial,
) -> list[Episode]:
    """Return as many successful episodes of each task as ``requests`` says, task by task.

    The i-th attempt at a task has the seed ``derive_seed("demonstration", *seed_names, task, index=i)``. Tasks that
    miss successes are attempted as many times again, all together, so that no attempt is made in vain. The log says
    how many there were.

    Args:
        attempt: Returns what came of each trial, with its episode if it succeeded.
        name: What the log calls this.
        trial_of: Makes a trial of task and seed.

    Raises:
        SimulationError: ``max_attempts_factor`` attempts an episode did not give enough successes of a task, and it
            ``demands_all``; else a warning says so.
    """
    found: dict[str, list[Episode]] = {task: [] for task in requests}
    tried: Counter[str] = Counter()
    unused = {task: iter(range(count * max_attempts_factor)) for task, count in requests.items()}
    while True:
        trials = [
            trial_of(task, derive_seed("demonstration", *seed_names, task, index=index))
            for task, count in requests.items()
            for index in islice(unused[task], count - len(found[task]))
        ]
        if not trials:
            break
        for trial, (_, episode) in zip(trials, attempt(trials), strict=True):
            tried[trial.task] += 1
            if episode:
                found[trial.task].append(episode)
    if tried:
        least = min(tried, key=lambda task: len(found[task]) / tried[task])
        logger.info(
            "%s: %d of %d attempts succeeded; least of %s, %d of %d",
            *(name, sum(map(len, found.values())), tried.total(), least, len(found[least]), tried[least]),
        )
    for task, count in requests.items():
        if len(found[task]) < count:
            told = (
                f"task {task}: {len(found[task])} of {count * max_attempts_factor} attempts succeeded, "
                f"expected {count}; lower action_noise or allow longer episodes"
            )
            if demands_all:
                raise SimulationError(told)
            logger.warning("%s", told)
    return [episode for episodes in found.values() for episode in episodes]
