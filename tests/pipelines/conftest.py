from pathlib import Path

import pytest

from leagents_kedro.history.history import History
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.harvest import HarvestParams
from leagents_kedro.parameters.selection import SelectionParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.records import Checkpoint, CycleRecord, Decision, Evidence, Plan, Score
from leagents_kedro.simulation.suites import resolve_suite
from support.parameters import base_parameters


@pytest.fixture
def suite_params():
    return SuiteParams(
        environment="metaworld_state", tasks=("reach-v3", "drawer-close-v3"), options={"episode_length": 150}
    )


@pytest.fixture
def suite(suite_params, evaluation, constitution):
    return resolve_suite(suite_params, evaluation, constitution)


@pytest.fixture
def demonstrations():
    return DemonstrationParams(**base_parameters("demonstrations", amplify=None, initial_per_task=4))


@pytest.fixture
def selection():
    return SelectionParams(**base_parameters("selection"))


@pytest.fixture
def training():
    parameters = TrainingParams(**base_parameters("training"))
    short = [rung.model_copy(update={"steps": 20}) for rung in parameters.ladder]
    return parameters.model_copy(update={"ladder": tuple(short), "device": "cpu"})


@pytest.fixture
def evaluation():
    here = {"workers": 1, "episode_timeout_s": None}
    return EvaluationParams(**base_parameters("evaluation") | here)


@pytest.fixture
def gating():
    return GatingParams(**base_parameters("gating", max_pairs=100, look_every=20))


@pytest.fixture
def harvest():
    return HarvestParams(**base_parameters("harvest"))


@pytest.fixture
def checkpoint():
    def of(digest: str = "d" * 64, rung: int = 0) -> Checkpoint:
        return Checkpoint(path=Path("nowhere"), policy_type="act", rung=rung, step=20, digest=digest)

    return of


@pytest.fixture
def decision():
    def of(verdict: str, challenger: bool = False) -> Decision:
        score = Score(successes=5, episodes=10, low=0.2, high=0.8)
        blessed = score if challenger else None
        evidence = Evidence(
            candidate=score,
            blessed=blessed,
            comparison=None,
            minimum_detectable_effect=None,
            task_scores={"reach-v3": (score, blessed)},
        )
        return Decision(verdict=verdict, reason=f"because of {verdict}", evidence=evidence)

    return of


@pytest.fixture
def ledger(decision):
    """A history with one closed cycle for each verdict."""

    def of(*verdicts: str, rung: int = 0) -> History:
        rows, run = [], 1
        for cycle, verdict in enumerate(verdicts, start=1):
            run_id = f"2026-01-01T00.00.{cycle:02d}.000Z"
            record = CycleRecord(
                plan=Plan(cycle=cycle, run=run, rung=rung, initial="scratch", training_steps=20, reason="test"),
                decision=decision(verdict),
                candidate_digest=f"{cycle:064d}",
                blessed_digest=None,
                mix_episodes=10,
                selected_episodes=10,
                evaluated_episodes=10,
                new_episodes=0,
            )
            opened = {"event": "opened", "pins": {}, "params": {}, "code": None}
            closed = {"event": "closed", "seconds": 1.0, "record": record.model_dump(mode="json")}
            common = {"cycle": cycle, "run_id": run_id, "at": "2026-01-01T00:00:00+00:00"}
            rows += [opened | common, closed | common]
            run += verdict in {"stop", "escalate"}
        return History.of(rows)

    return of
