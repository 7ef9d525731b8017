import pytest

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.parameters.training import Rung, TrainingSettings
from leagents_kedro.pipelines.evaluation.nodes import (
    _known_outcomes,
    evaluate_candidate,
    paired_trials,
)
from leagents_kedro.policies.checkpoints import checkpoint_digest, resolve_device
from leagents_kedro.policies.training import train
from leagents_kedro.records import Checkpoint, Outcome, Outcomes, Plan
from leagents_kedro.simulation.collection import successful_episodes
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.protocol import protocol_digest, protocol_of
from leagents_kedro.simulation.simulator import Simulator

PLAN = Plan(cycle=2, run=1, rung=0, initial="head", training_steps=20, evaluation_episodes=8, reason="test")


def measured(conditions: dict[str, str], blessed_digest: str) -> Outcomes:
    outcome = Outcome(task="reach-v3", seed=1, success=True, sum_reward=1.0, length=3)
    return Outcomes(
        environment="metaworld_state",
        protocol=protocol_digest(conditions),
        conditions=conditions,
        candidate_digest="c" * 64,
        blessed_digest=blessed_digest,
        candidate=(outcome,),
        blessed=(outcome,),
    )


def test_blessed_outcomes_are_used_again_only_for_the_same_checkpoint_under_the_same_protocol(
    suite, evaluation, checkpoint
):
    conditions = protocol_of(suite, evaluation, 0)
    blessed = checkpoint("b" * 64)
    assert _known_outcomes(measured(conditions, blessed.digest), blessed, conditions)
    assert not _known_outcomes(measured(conditions, "a" * 64), blessed, conditions)
    assert not _known_outcomes(None, blessed, conditions)
    for other in (
        protocol_of(suite.model_copy(update={"options": {"episode_length": 100}}), evaluation, 0),
        protocol_of(suite, evaluation.model_copy(update={"torch_threads": 2}), 0),
        protocol_of(suite, evaluation.model_copy(update={"shortcuts": False}), 0),
        protocol_of(suite, evaluation, 1),
        conditions | {"code of engine": "success = False"},
    ):
        assert not _known_outcomes(measured(conditions, blessed.digest), blessed, other)
    auto, meant = (
        evaluation.model_copy(update={"device": device}) for device in ("auto", resolve_device("auto", "device"))
    )
    assert protocol_of(suite, auto, 0) == protocol_of(suite, meant, 0)
    faster = evaluation.model_copy(update={"slots": 16, "workers": 7, "episode_timeout_s": 1.0})
    assert protocol_of(suite, faster, 0) == conditions


def test_why_outcomes_are_measured_anew_is_told(suite, evaluation, checkpoint, caplog):
    conditions, blessed = protocol_of(suite, evaluation, 0), checkpoint("b" * 64)
    before = measured(conditions | {"mujoco": "3.1.0"}, blessed.digest)
    assert not _known_outcomes(before, blessed, conditions)
    assert f"the conditions of an episode changed: mujoco 3.1.0, now {conditions['mujoco']}" in caplog.text
    older = before.model_copy(update={"conditions": {}})
    assert not _known_outcomes(older, blessed, conditions)
    assert "they were not recorded then" in caplog.text


def test_pairs_are_round_robin_and_fresh_for_each_blessed_checkpoint(checkpoint, suite):
    trials = paired_trials(suite.names, 6, 0, checkpoint("a" * 64))
    assert [trial.task for trial in trials] == ["reach-v3", "drawer-close-v3"] * 3
    assert paired_trials(suite.names, 4, 0, checkpoint("a" * 64)) == trials[:4], "looks extend one list"
    assert not {trial.seed for trial in trials} & {
        trial.seed for trial in paired_trials(suite.names, 6, 0, checkpoint("b" * 64))
    }
    assert not {trial.seed for trial in trials} & {trial.seed for trial in paired_trials(suite.names, 6, 0, None)}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two real checkpoints of a small ACT, trained on one expert episode a task; the second for longer."""
    names = ("reach-v3", "drawer-close-v3")
    with EnvironmentPool("metaworld_state", {"episode_length": 150}) as pool:
        episodes = successful_episodes(
            dict.fromkeys(names, 1),
            lambda trials: [demonstrate(trial, pool, 0.0) for trial in trials],
            seed_names=(0,),
            max_attempts_factor=2,
        )
    root = tmp_path_factory.mktemp("mix") / "v3"
    suite = Simulator("metaworld_state", {}, 1, None).describe(names)
    write_episodes(root, episodes, suite.features, suite.fps, suite.environment)
    small = {"chunk_size": 10, "n_action_steps": 10, "dim_model": 32, "n_heads": 2, "dim_feedforward": 64}
    settings = TrainingSettings(
        batch_size=16,
        seed=0,
        device="cpu",
        torch_threads=1,
        precision="float32",
        normalization="keep",
        save_every_steps=100,
        frame_cache_gb=0,
        shortcuts=True,
    )
    trained = []
    for steps in (10, 60):
        rung = Rung(policy_type="act", steps=steps, options=small, pretrained_path=None, pretrained_revision=None)
        workspace = tmp_path_factory.mktemp(f"steps{steps}")
        folder = train(Shards(root), [0, 1], rung, settings, None, workspace, workspace, lambda *_: None)
        digest = checkpoint_digest(folder / "pretrained_model")
        trained.append(Checkpoint(path=folder, policy_type="act", rung=0, step=steps, digest=digest))
    return trained


def test_only_what_was_measured_here_is_counted(checkpoints, suite, evaluation, gating, constitution, tmp_path):
    blessed, candidate = checkpoints
    short = suite.model_copy(update={"options": {"episode_length": 20}})
    rules = gating.model_copy(update={"max_pairs": 2, "look_every": 2})
    plan = PLAN.model_copy(update={"evaluation_episodes": 2})

    def evaluated(previous, settings):
        return evaluate_candidate(candidate, blessed, previous, plan, tmp_path, short, settings, rules, 0, constitution)

    first = evaluated(None, evaluation)
    assert first.measured == 4
    assert evaluated(first, evaluation).measured == 2, "the blessed checkpoint's outcomes are used again"
    assert evaluated(first, evaluation.model_copy(update={"torch_threads": 2})).measured == 4, "another protocol"


@pytest.mark.slow
def test_a_kill_between_any_two_looks_changes_nothing(
    checkpoints, suite, evaluation, gating, constitution, monkeypatch, tmp_path
):
    blessed, candidate = checkpoints
    short = suite.model_copy(update={"options": {"episode_length": 60}})
    rules = gating.model_copy(update={"max_pairs": 8, "look_every": 2, "futility_power": 0.0})

    def evaluated(workspace):
        workspace.mkdir(exist_ok=True)
        return evaluate_candidate(candidate, blessed, None, PLAN, workspace, short, evaluation, rules, 0, constitution)

    calls = []
    real = Simulator.roll_out
    monkeypatch.setattr(Simulator, "roll_out", lambda *args, **more: calls.append(1) or real(*args, **more))
    undisturbed = evaluated(tmp_path / "undisturbed")
    blocks = len(calls)
    assert blocks >= 4

    for survived in range(1, blocks):
        done = []

        def killed_after(*args, survived=survived, done=done, **more):
            if len(done) == survived:
                raise KeyboardInterrupt
            done.append(1)
            return real(*args, **more)

        workspace = tmp_path / f"killed{survived}"
        monkeypatch.setattr(Simulator, "roll_out", killed_after)
        with pytest.raises(KeyboardInterrupt):
            evaluated(workspace)
        calls.clear()
        monkeypatch.setattr(Simulator, "roll_out", lambda *args, **more: calls.append(1) or real(*args, **more))
        assert evaluated(workspace) == undisturbed
        assert len(calls) == blocks - survived, "no finished look is measured again"


@pytest.mark.slow
def test_workers_change_neither_outcomes_nor_what_is_kept(
    checkpoints, suite, evaluation, gating, constitution, tmp_path
):
    blessed, candidate = checkpoints
    short = suite.model_copy(update={"options": {"episode_length": 60}})
    rules = gating.model_copy(update={"max_pairs": 8, "look_every": 4, "futility_power": 0.0})

    def evaluated(**changes):
        workspace = tmp_path / str(changes)
        workspace.mkdir()
        settings = evaluation.model_copy(update=changes)
        outcomes = evaluate_candidate(
            candidate, blessed, None, PLAN, workspace, short, settings, rules, 0, constitution
        )
        return outcomes, {path.name: path.read_bytes() for path in workspace.iterdir()}

    assert evaluated(workers=2, slots=3, episode_timeout_s=100.0) == evaluated()
