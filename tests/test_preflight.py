"""What cannot run is refused before a cycle is opened."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from omegaconf import OmegaConf

from leagents_kedro.datasets.constitution import ConstitutionDataset
from leagents_kedro.errors import ConstitutionError, ParameterError
from leagents_kedro.pipelines.gating.params import GatingParams
from leagents_kedro.pipelines.training.params import TrainingParams
from leagents_kedro.preflight import PreflightHooks
from leagents_kedro.suite import SuiteParams

BASE = Path(__file__).parents[1] / "conf" / "base"
MODELS = {"suite": SuiteParams, "training": TrainingParams, "gating": GatingParams}


def catalog(**changes):
    """The project's own parameters, with those of ``stage={"key": value}`` in their place."""
    stages = {"constitution": ConstitutionDataset(str(BASE / "constitution.yml"))}
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


def test_every_rung_is_within_the_constitution():
    rungs = [rung.model_dump() for rung in catalog().load("params:training").ladder]
    rungs[-1]["steps"] = 10**9
    with pytest.raises(ConstitutionError, match="1000000000 training steps are more than"):
        PreflightHooks().before_cycle_opened(catalog(training={"ladder": rungs}))
