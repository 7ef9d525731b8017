"""What cannot run is refused before a cycle is opened."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from omegaconf import OmegaConf

from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.datasets.lerobot_shards import LeRobotShards
from leagents_kedro.episodes.shards import NewEpisodes
from leagents_kedro.errors import ConstitutionError, CoverageError, ParameterError
from leagents_kedro.pipelines.gating.params import GatingParams
from leagents_kedro.pipelines.selection.params import SelectionParams
from leagents_kedro.pipelines.training.params import TrainingParams
from leagents_kedro.preflight import PreflightHooks
from leagents_kedro.simulation.experts import collect_demonstrations
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.suite import SuiteParams

BASE = Path(__file__).parents[1] / "conf" / "base"
MODELS = {"suite": SuiteParams, "training": TrainingParams, "gating": GatingParams, "selection": SelectionParams}


def catalog(mix: Path = Path("nowhere"), **changes):
    """The project's own parameters, with those of ``stage={"key": value}`` in their place."""
    stages = {
        "constitution": ConstitutionDataset(str(BASE / "constitution.yml")),
        "ledger": MemoryDataset([]),
        "blessed": MemoryDataset(None),
        "mix": LeRobotShards(str(mix), Version(None, "2026-01-01T00.00.00.000Z")),
    }
    for stage, model in MODELS.items():
        values = OmegaConf.to_container(OmegaConf.load(BASE / f"parameters_{stage}.yml"), resolve=True)[stage]
        stages[f"params:{stage}"] = MemoryDataset(model.model_validate(values | changes.get(stage, {})))
    return DataCatalog(stages)


def test_the_default_passes_and_so_does_a_project_without_a_suite():
    PreflightHooks().before_cycle_opened(catalog())
    PreflightHooks().before_cycle_opened(DataCatalog({}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite": {"tasks": ["reech-v3"]}}, "did you mean reach-v3"),
        ({"suite": {"environment": "metaworld-state"}}, "metaworld-state"),
        ({"gating": {"look_every": 7}}, "look_every should be a multiple"),
    ],
)
def test_the_fault_is_named(changes, message):
    with pytest.raises(ParameterError, match=message):
        PreflightHooks().before_cycle_opened(catalog(**changes))


def test_a_rung_that_is_not_trained_yet_is_checked_too():
    rungs = [rung.model_dump() for rung in catalog().load("params:training").ladder]
    rungs[-1]["options"]["dim_modell"] = 1
    with pytest.raises(ParameterError, match="dim_modell"):
        PreflightHooks().before_cycle_opened(catalog(training={"ladder": rungs}))


def test_a_suite_that_the_mix_does_not_cover_is_refused_before_it_is_pinned(tmp_path):
    with EnvironmentPool("metaworld_state", {"episode_length": 150}) as pool:
        requests = {"reach-v3": 1}
        found = collect_demonstrations(
            requests, pool, seed_names=(0,), first_index={"reach-v3": 0}, action_noise=0.0, max_attempts_factor=2
        )
        new = NewEpisodes(tuple(found), pool.features, pool.fps, "metaworld_state")
    catalog(tmp_path)["mix"].save(new)
    PreflightHooks().before_cycle_opened(catalog(tmp_path, suite={"tasks": ["reach-v3"]}))
    with pytest.raises(CoverageError, match="Push the puck"):
        PreflightHooks().before_cycle_opened(catalog(tmp_path, suite={"tasks": ["reach-v3", "push-v3"]}))
    with pytest.raises(ParameterError, match="Push the puck to a goal"):
        PreflightHooks().before_cycle_opened(catalog(tmp_path, suite={"tasks": ["push-v3", "push-back-v3"]}))


def test_every_rung_is_within_the_constitution():
    rungs = [rung.model_dump() for rung in catalog().load("params:training").ladder]
    rungs[-1]["steps"] = 10**9
    with pytest.raises(ConstitutionError, match="1000000000 training steps are more than"):
        PreflightHooks().before_cycle_opened(catalog(training={"ladder": rungs}))
