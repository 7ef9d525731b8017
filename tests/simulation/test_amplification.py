"""Few demonstrations become many, in scenes of their own, and how is kept."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from leagents_kedro.episodes.shards import Episode, NewEpisodes
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.errors import CoverageError, ParameterError, SimulationError
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.records import AmplificationPlan, Recipe
from leagents_kedro.simulation.collection import collect_episodes
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.environments import Trial, environment_of
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.replays import Replay, replaying
from leagents_kedro.simulation.simulator import Simulator
from leagents_kedro.simulation.sources import GOAL, Source
from support.parameters import base_constitution, base_parameters, described

REACH, DRAWER = TASKS = "reach-v3", "drawer-close-v3"
SUITE = described("metaworld_state", *TASKS, episode_length=150)
EVALUATION = EvaluationParams(**base_parameters("evaluation") | {"workers": 1, "episode_timeout_s": None})
NOISE = 0.2
EXPERTS = DemonstrationParams(
    **base_parameters(
        "demonstrations",
        source="experts",
        action_noise=NOISE,
        amplify={"of": "experts", "sources_per_task": 1, "min_rate": 0.2},
    )
)


def collected(recipes: Path, demonstrations: DemonstrationParams = EXPERTS, cycle: int = 0, **requests: int):
    requests = {name.replace("_", "-"): number for name, number in requests.items()} or {REACH: 3}
    return collect_episodes(SUITE, demonstrations, EVALUATION, requests, 7, cycle, base_constitution(), recipes)


def same(one: NewEpisodes, other: NewEpisodes) -> bool:
    return len(one.episodes) == len(other.episodes) and all(
        np.array_equal(values, there.columns[key])
        for here, there in zip(one.episodes, other.episodes, strict=True)
        for key, values in here.columns.items()
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Trial]]:
    """What the simulator is asked to demonstrate."""
    asked: list[Sequence[Trial]] = []
    demonstrated = Simulator.demonstrate

    def noted(self, trials, **options):
        asked.append(trials)
        return demonstrated(self, trials, **options)

    monkeypatch.setattr(Simulator, "demonstrate", noted)
    return asked


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipes of both tasks."""
    folder = tmp_path_factory.mktemp("amplified") / "recipes"
    collected(folder, reach_v3=1, drawer_close_v3=1)
    return folder


@pytest.fixture
def own(recipes: Path, tmp_path: Path) -> Path:
    """A copy of ``recipes`` that may be damaged."""
    return shutil.copytree(recipes, tmp_path / "recipes")


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool("metaworld_state", SUITE.options) as pool:
        yield pool


@pytest.fixture(scope="module")
def replay(pool: EnvironmentPool) -> Replay:
    """An expert's episode that is to be replayed in another scene."""
    _, episode = demonstrate(Trial(REACH, derive_seed("demonstration", "a", index=0)), pool, 0)
    assert episode
    observations = [{"environment_state": state} for state in episode.columns["observation.environment_state"]]
    source = Source.of(REACH, observations, episode.columns["action"], environment_of("metaworld_state"))
    return Replay(REACH, derive_seed("demonstration", "b", index=0), source, AmplificationPlan(frames=(GOAL,)))


def test_one_demonstration_of_each_task_becomes_many(recipes, asked):
    new = collected(recipes, cycle=3, reach_v3=8, drawer_close_v3=8)
    sentences = [episode.sentence for episode in new.episodes]
    assert sentences == [task.sentence for task in SUITE.tasks for _ in range(8)]
    assert all(episode.columns["next.success"][-1] for episode in new.episodes)
    assert sum(map(len, asked)) <= 18, "nearly every attempt succeeds"
    told = [json.loads(episode.provenance) for episode in new.episodes]
    assert {each["seed"] for each in told} <= {trial.seed for trials in asked for trial in trials}
    assert len({each["seed"] for each in told}) == 16
    assert {each["recipe"] for each in told} == {path.name for path in recipes.iterdir()}
    assert told[0]["source"] == 0
    assert AmplificationPlan(**told[0]["plan"]).frames == (GOAL,)
    begins = {episode.columns["observation.environment_state"][0].tobytes() for episode in new.episodes}
    assert len(begins) == 16, "each in a scene of its own"


def test_recipes_are_kept_and_found_without_an_attempt(recipes, asked):
    found = {path.parent.name[:-13]: Recipe.model_validate_json(path.read_text()) for path in recipes.glob("*/*.json")}
    assert found.keys() == set(TASKS)
    assert found[REACH].plan.frames == (GOAL,)
    collected(recipes)
    assert [[trial.task for trial in trials] for trials in asked] == [[REACH] * 3]


def test_the_run_seed_and_the_cycle_decide_what_is_collected(recipes, tmp_path):
    here = collected(recipes)
    assert same(here, collected(tmp_path / "others"))
    assert not same(here, collected(recipes, cycle=1))


def cut(place: Path) -> None:
    file = place / "source.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        cut,
        pytest.param(lambda place: (place / "source.safetensors").unlink(), marks=pytest.mark.slow),
        pytest.param(lambda place: (place / "source.safetensors").write_bytes(b""), marks=pytest.mark.slow),
        pytest.param(lambda place: (place / "recipe.json").write_text("{"), marks=pytest.mark.slow),
    ],
    ids=["deleted", "cut", "without source", "empty", "unreadable"],
)
def test_a_damaged_recipe_is_searched_anew_to_the_same(damage, own, asked):
    (place,) = own.glob(f"{REACH}-*")
    before = contents(place)
    damage(place)
    collected(own, reach_v3=1)
    assert sum(map(len, asked)) > 1
    assert contents(place) == before
    asked.clear()
    collected(own, reach_v3=1)
    assert sum(map(len, asked)) == 1


def contents(place: Path) -> tuple[str, dict[str, list]]:
    """Return what is kept of a recipe."""
    columns = load_file(place / "source.safetensors")
    return (place / "recipe.json").read_text(), {key: values.tolist() for key, values in columns.items()}


def test_other_parameters_have_recipes_of_their_own(own):
    collected(own, EXPERTS.model_copy(update={"action_noise": 0.0}), reach_v3=1)
    assert len(list(own.glob(f"{REACH}-*"))) == 2
    collected(own, EXPERTS.model_copy(update={"growth_per_task": 9}), reach_v3=1)
    assert len(list(own.iterdir())) == 3


def test_a_task_that_does_not_replay_is_refused_by_name(own):
    for path in own.glob(f"{DRAWER}-*/recipe.json"):
        path.write_text(Recipe.model_validate_json(path.read_text()).model_copy(update={"rate": 0.1}).model_dump_json())
    with pytest.raises(SimulationError, match=r"of drawer-close-v3 \(10%\), the best plan .* less than 20%.*min_rate"):
        collected(own, reach_v3=1, drawer_close_v3=1)
    assert collected(own).episodes, "the other task is none the worse"


def test_what_is_recorded_is_what_would_be_right_where_noise_has_led(pool, replay):
    outcome, episode = demonstrate(replay, pool, NOISE)
    assert outcome.success
    assert episode
    teacher = replaying(replay, pool.environment)
    seen = episode.columns["observation.environment_state"]
    right = np.array([teacher({"environment_state": state}) for state in seen], np.float32)
    np.testing.assert_array_equal(episode.columns["action"], right)
    # Applied without the noise, these actions lead elsewhere, and those of an episode without noise do not.
    assert np.abs(applied(pool, replay, episode) - seen[1:]).max() > 0.005
    _, clean = demonstrate(replay, pool, 0)
    assert clean
    states = clean.columns["observation.environment_state"]
    np.testing.assert_array_equal(applied(pool, replay, clean), states[1:])


def applied(pool: EnvironmentPool, trial: Trial, episode: Episode) -> np.ndarray:
    """Return the states (steps - 1, dim) after each action but the last, in the scene of the trial."""
    env = pool.acquire(trial.task)
    pool.environment.begin(env, trial)
    states = [env.step(action)[0]["environment_state"] for action in episode.columns["action"][:-1]]
    pool.release(trial.task, env)
    return np.array(states)


def test_noise_is_the_seeds_and_spares_the_gripper(pool, replay):
    (_, one), (_, again) = demonstrate(replay, pool, NOISE), demonstrate(replay, pool, NOISE)
    assert one
    assert again
    np.testing.assert_array_equal(one.columns["action"], again.columns["action"])
    fingers = one.columns["observation.environment_state"][:, 3]
    _, clean = demonstrate(replay, pool, 0)
    assert clean
    shared = min(len(fingers), len(clean.columns["action"]))
    np.testing.assert_allclose(fingers[:shared], clean.columns["observation.environment_state"][:shared, 3], atol=0.02)


@pytest.fixture(scope="module")
def folder(pool: EnvironmentPool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two experts' episodes of one task."""
    root = tmp_path_factory.mktemp("given") / "dataset"
    trials = [Trial(REACH, derive_seed("demonstration", "given", index=index)) for index in range(2)]
    episodes = [episode for trial in trials if (episode := demonstrate(trial, pool, 0)[1])]
    assert len(episodes) == 2
    write_episodes(root, episodes, SUITE.features, SUITE.fps, SUITE.environment)
    return root


def of_folder(folder: Path) -> DemonstrationParams:
    amplify = {"of": "folder", "sources_per_task": 1, "min_rate": 0.2}
    given = {"source": "folder", "folder": str(folder), "amplify": amplify}
    return DemonstrationParams.model_validate(EXPERTS.model_dump() | given)


def test_demonstrations_of_a_folder_are_amplified(folder, tmp_path, asked):
    given = of_folder(folder)
    assert len(collected(tmp_path, given).episodes) == 3
    assert all(isinstance(trial, Replay) for trials in asked for trial in trials), "no expert is asked"


def test_a_task_that_the_folder_lacks_is_named(folder, tmp_path):
    given = of_folder(folder)
    with pytest.raises(CoverageError, match="no episodes of 1 of 2 tasks: 'Push and close a drawer'"):
        collected(tmp_path, given, reach_v3=1, drawer_close_v3=1)


def test_an_environment_without_frames_is_named():
    said = "'pusht' does not tell where its hand and objects are.*only metaworld_state does.*amplify to null"
    environment = environment_of("pusht")
    for asking in (environment.check_frames, lambda: environment.hand({}), lambda: environment.frames({})):
        with pytest.raises(ParameterError, match=re.compile(said)):
            asking()
