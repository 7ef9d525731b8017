"""Every node that trains or simulates asks the constitution itself, so that a slice of the cycle is covered too."""

from pathlib import Path

import pytest

from leagents_kedro.errors import ConstitutionError
from leagents_kedro.pipelines.evaluation.nodes import evaluate_candidate
from leagents_kedro.pipelines.harvest.nodes import collect_demonstrations, harvest_rollouts
from leagents_kedro.pipelines.seed.nodes import seed_mix
from leagents_kedro.pipelines.training.nodes import train_candidate
from leagents_kedro.records import Outcomes, Plan, Selection

PLAN = Plan(
    cycle=1,
    run=1,
    rung=0,
    initial="scratch",
    training_steps=20,
    evaluation_episodes=100,
    harvest_attempts=8,
    reason="test",
)


@pytest.fixture
def strict(constitution):
    return constitution.model_copy(update={"max_training_steps": 1, "max_episodes": 1})


def test_training(training, strict, tmp_path):
    with pytest.raises(ConstitutionError, match="20 training steps are more than 1"):
        train_candidate(None, Selection(episodes={}), PLAN, None, None, tmp_path, tmp_path, training, 0, strict)


def test_evaluation(checkpoint, suite, evaluation, gating, strict, tmp_path):
    with pytest.raises(ConstitutionError, match="100 episodes are more than 1"):
        evaluate_candidate(checkpoint(), None, None, PLAN, tmp_path, suite, evaluation, gating, 0, strict)


def test_harvest(decision, checkpoint, suite, harvest, evaluation, strict):
    with pytest.raises(ConstitutionError, match="8 episodes are more than 1"):
        harvest_rollouts(decision("promote"), checkpoint(), PLAN, None, suite, harvest, evaluation, 0, strict)


def test_collection(decision, checkpoint, suite, suite_params, demonstrations, evaluation, strict):
    class Mix:
        """Stands for an empty mix: the schedule looks at its counts alone."""

        tasks = ()
        index = type("Index", (), {"task": []})()

    nothing = Outcomes(protocol="p", environment="", candidate_digest="", blessed_digest=None, candidate=(), blessed=())
    given = decision("iterate"), checkpoint(), nothing, PLAN, Mix(), suite, demonstrations, evaluation
    with pytest.raises(ConstitutionError, match="episodes are more than 1"):
        collect_demonstrations(*given, 0, strict, Path("nowhere"))
    with pytest.raises(ConstitutionError, match="episodes are more than 1"):
        seed_mix(suite_params, demonstrations, evaluation, 0, strict, Path())
