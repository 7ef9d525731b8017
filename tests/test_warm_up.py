"""What simulates later is prepared as soon as that is known, and only then."""

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from leagents_kedro.loop.warm_up import WarmUpHooks
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.pipelines import evaluation, gating
from leagents_kedro.simulation import workers


def catalog(processes: int | str, timeout_s: float | None) -> DataCatalog:
    params = EvaluationParams(slots=1, workers=processes, episode_timeout_s=timeout_s, device="cpu", torch_threads=1)
    return DataCatalog({"params:evaluation": MemoryDataset(params)})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry a start; the server itself is started for real where workers are tested."""
    starts: list[bool] = []
    monkeypatch.setattr(workers, "warm_up", lambda: starts.append(True))
    return starts


@pytest.mark.parametrize(
    ("processes", "timeout_s", "needed"), [("auto", None, True), (1, 60, True), (2, None, True), (1, None, False)]
)
def test_before_the_loop_where_workers_are_processes(started, processes, timeout_s, needed):
    WarmUpHooks().before_loop({"evaluation": {"workers": processes, "episode_timeout_s": timeout_s}})
    assert started == [True] * needed


def test_not_in_a_project_that_does_not_simulate(started):
    WarmUpHooks().before_loop({})
    WarmUpHooks().before_cycle_opened(DataCatalog({}))
    assert not started


@pytest.mark.parametrize(
    ("pipeline", "needed"), [(evaluation.create_pipeline(), True), (gating.create_pipeline(), False)]
)
def test_before_a_pipeline_that_simulates(started, pipeline: Pipeline, needed: bool):
    WarmUpHooks().before_pipeline_run(pipeline, catalog("auto", None))
    assert started == [True] * needed
