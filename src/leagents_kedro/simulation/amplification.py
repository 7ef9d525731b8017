"""Many demonstrations of one: sources are found, then recipes by trial, and both are kept for later collections."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import SimulationError
from leagents_kedro.foundation.files import make_folder, remove, staged
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.records import Recipe, Suite
from leagents_kedro.simulation.environments import Environment, Trial, environment_of
from leagents_kedro.simulation.recipes import run_searches, search
from leagents_kedro.simulation.replays import Replay
from leagents_kedro.simulation.simulator import Simulator
from leagents_kedro.simulation.sources import Source, distinct_frames, with_directions

logger = logging.getLogger(__name__)

type SourceEpisodes = Callable[[Sequence[str]], Mapping[str, Sequence[Episode]]]
"""From tasks to the episodes of each that may be amplified."""

_PROBES = 6  # scenes in which frames are looked for


@dataclass(frozen=True)
class Amplified:
    """A demonstration, and how it is amplified; ``name`` is that of the folder where both are kept."""

    name: str
    recipe: Recipe
    source: Source

    def replay(self, seed: int) -> Replay:
        """Return the replay in the scene of a seed."""
        plan = self.recipe.plan
        told = {"recipe": self.name, "source": self.recipe.source, "plan": plan.model_dump(), "seed": seed}
        return Replay(self.recipe.task, seed, self.source, plan, json.dumps(told))


def amplified(
    suite: Suite,
    tasks: Iterable[str],
    demonstrations: DemonstrationParams,
    simulator: Simulator,
    episodes_of: SourceEpisodes,
    run_seed: int,
    folder: Path,
) -> dict[str, Amplified]:
    """Return the recipe of each of ``tasks``, found in ``folder`` or by trial with sources of ``episodes_of``.

    Raises:
        ParameterError: The environment does not tell of hand and frames.
        SimulationError: A demonstration does not replay in as large a share as ``min_rate`` demands; names the tasks.
    """
    environment = environment_of(suite.environment)
    environment.check_frames()
    assert demonstrations.amplification, "who asks for amplified demonstrations has such parameters"
    wanted = {
        "environment": suite.environment,
        "options": suite.options,
        "demonstrations": demonstrations.model_dump(
            include={"source", "folder", "repo_id", "revision", "action_noise"}
        ),
        "sources_per_task": demonstrations.amplification.sources_per_task,
        "run_seed": run_seed,
    }
    names = {task: f"{task}-{_digest(wanted | {'task': task})}" for task in tasks}
    raw = environment.config(None, suite.options).features_map
    found = {task: known for task, name in names.items() if (known := _read(folder / name, task, raw, environment))}
    if missing := [task for task in names if task not in found]:
        episodes = episodes_of(missing)
        sources = {task: [_source(task, episode, raw, environment) for episode in episodes[task]] for task in missing}
        for task, recipe in _searched(sources, simulator, demonstrations, run_seed):
            _write(folder / names[task], recipe, episodes[task][recipe.source])
            found[task] = Amplified(names[task], recipe, sources[task][recipe.source])
    poor = [
        f"{task} ({known.recipe.rate:.0%})"
        for task, known in found.items()
        if known.recipe.rate < demonstrations.amplification.min_rate
    ]
    if poor:
        raise SimulationError(
            f"demonstrations.amplify: of {', '.join(sorted(poor))}, the best plan succeeds in less than "
            f"{demonstrations.amplification.min_rate:.0%} of other scenes; raise sources_per_task, give other sources, "
            "lower min_rate, or leave the tasks out of the suite"
        )
    return {task: found[task] for task in names}


def _searched(
    sources: Mapping[str, Sequence[Source]], simulator: Simulator, demonstrations: DemonstrationParams, run_seed: int
) -> Iterable[tuple[str, Recipe]]:
    """Yield the recipe that was found for each task."""
    probes = [
        Trial(task, derive_seed("demonstration", "frames", run_seed, task, index=index))
        for task in sources
        for index in range(_PROBES)
    ]
    scenes = [with_directions(frames) for _, frames in simulator.first_frames(probes)]
    searches = {}
    for (task, given), probed in zip(sources.items(), batched(scenes, _PROBES), strict=True):
        searches[task] = search(given, distinct_frames(probed), (run_seed,))
    with progress_bar("plan", len(sources), "task") as show:
        done = tried = 0

        def attempt(replays: Sequence[Replay]) -> list[bool]:
            nonlocal tried
            rolled = simulator.demonstrate(
                replays,
                action_noise=demonstrations.action_noise,
                keep_episodes=False,
                progress=lambda attempts, _: show(done, f"{tried + attempts} replays"),
            )
            tried += len(replays)
            return [outcome.success for outcome, _ in rolled]

        for task, recipe in run_searches(searches, attempt):
            done += 1
            show(done, f"{tried} replays")
            logger.info(
                "%s: demonstration %d of %d is amplified, moved with %s: %.0f%% of the trials succeeded",
                *(task, recipe.source + 1, len(sources[task]), " > ".join(recipe.plan.frames), 100 * recipe.rate),
            )
            yield task, recipe


def _source(task: str, episode: Episode, raw: Mapping[str, str], environment: Environment) -> Source:
    """Return what the environment sees in an episode, whose columns are under LeRobot's names."""
    columns = {name: episode.columns[key] for name, key in raw.items() if key in episode.columns}
    observations = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Source.of(task, observations, episode.columns["action"], environment)


def _read(place: Path, task: str, raw: Mapping[str, str], environment: Environment) -> Amplified | None:
    """Return what an earlier collection found; None where there is nothing, or it was damaged."""
    try:
        recipe = Recipe.model_validate_json((place / "recipe.json").read_bytes())
        episode = Episode("", load_file(place / "source.safetensors"))
        return Amplified(place.name, recipe, _source(task, episode, raw, environment))
    except (OSError, ValueError, KeyError, SafetensorError):
        return None


def _write(place: Path, recipe: Recipe, episode: Episode) -> None:
    make_folder(place.parent)
    with staged(place) as staging:
        staging.mkdir()
        (staging / "recipe.json").write_text(recipe.model_dump_json(indent=1))
        numbers = {key: values for key, values in episode.columns.items() if values.dtype != np.uint8}
        save_file(numbers, staging / "source.safetensors")
        remove(place)  # what was damaged there


def _digest(value: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
