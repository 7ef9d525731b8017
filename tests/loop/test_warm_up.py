"""What simulates later is prepared as soon as that is known, and only then."""

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from leagents_kedro.loop.warm_up import WarmUpHooks
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.pipelines import evaluation, gating
from leagents_kedro.simulation import workers


def catalog(processes: int | str, timeout_s: float | None) -> DataCatalog:
    here = {"slots": 1, "device": "cpu", "torch_threads": 1, "shortcuts": True}
    params = EvaluationParams(workers=processes, episode_timeout_s=timeout_s, **here)
    suite = SuiteParams(environment="pusht", tasks=("PushT-v0",), options={})
    return DataCatalog({"params:evaluation": MemoryDataset(params), "params:suite": MemoryDataset(suite)})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The environment of each start; the server itself is started for real where workers are tested."""
    starts: list[str] = []
    monkeypatch.setattr(workers, "warm_up", lambda environment: starts.append(environment))
    return starts


@pytest.mark.parametrize(
    ("processes", "timeout_s", "needed"), [("auto", None, True), (1, 60, True), (2, None, True), (1, None, False)]
)
def test_before_the_loop_where_workers_are_processes(started, processes, timeout_s, needed):
    evaluation = {"workers": processes, "episode_timeout_s": timeout_s}
    WarmUpHooks().before_loop({"suite": {"environment": "pusht"}, "evaluation": evaluation})
    assert started == ["pusht"] * needed


def test_not_in_a_project_that_does_not_simulate(started):
    WarmUpHooks().before_loop({})
    assert not started


@pytest.mark.parametrize(
    ("pipeline", "needed"), [(evaluation.create_pipeline(), True), (gating.create_pipeline(), False)]
)
def test_before_a_pipeline_that_simulates(started, pipeline: Pipeline, needed: bool):
    WarmUpHooks().before_pipeline_run(pipeline, catalog("auto", None))
    assert started == ["pusht"] * needed
