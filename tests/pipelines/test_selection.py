import re
from pathlib import Path

import pytest

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.errors import CheckpointError, ConstitutionError, CoverageError, EpisodesError, ParameterError
from leagents_kedro.pipelines.selection.nodes import propose_plan, review_plan, select_episodes
from leagents_kedro.simulation.collection import collect_episodes
from support.parameters import base_constitution, described
from support.policies import rung_of, untrained


@pytest.fixture
def training(training):
    rungs = (rung_of(steps=20), rung_of(steps=20, dim_model=32))
    return training.model_copy(update={"ladder": rungs})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What the first rung trained, and what the second did."""
    folder = tmp_path_factory.mktemp("trained")
    return [untrained(rung_of(dim_model=size), folder / str(size), rung) for rung, size in enumerate((16, 32))]


@pytest.fixture
def proposed(suite, training, gating, harvest, demonstrations, trained):
    """Propose a plan by the parameters of the project, or by others; the last candidate is of the last rung."""

    def of(history, blessed=None, *, training=training, gating=gating, **head):
        last = trained[history.cycles[-1].plan.rung] if history.cycles else None
        head = head.get("head", last)
        return propose_plan(history, head, blessed, suite, training, gating, harvest, demonstrations)

    return of


@pytest.mark.parametrize(
    ("verdicts", "rung", "initial"),
    [
        ((), 0, "scratch"),
        (("promote",), 0, "head"),
        (("promote", "iterate"), 0, "head"),
        (("promote", "rollback"), 0, "blessed"),
        (("promote", "escalate"), 1, "scratch"),
        (("iterate",), 0, "head"),
    ],
)
def test_the_plan_follows_from_the_last_decision(verdicts, rung, initial, ledger, trained, proposed):
    blessed = trained[0] if "promote" in verdicts else None
    plan = proposed(ledger(*verdicts), blessed)
    assert (plan.cycle, plan.rung, plan.initial) == (len(verdicts) + 1, rung, initial)


def test_lineage_blessed_continues_from_the_blessed_checkpoint(ledger, trained, proposed, gating):
    strict = gating.model_copy(update={"lineage": "blessed"})
    assert proposed(ledger("promote", "iterate"), trained[0], gating=strict).initial == "blessed"


def test_a_new_rung_never_returns_to_a_blessed_checkpoint_of_another(ledger, trained, proposed):
    plan = proposed(ledger("rollback", rung=1), trained[0])
    assert (plan.rung, plan.initial) == (1, "head")


def test_a_run_ends_with_an_escalation(ledger, trained, proposed):
    assert proposed(ledger("promote", "escalate"), trained[0]).run == 2


CHANGES = {
    "width": ({"dim_model": 48}, r"options.dim_model is 48, was 16"),
    "layers": ({"n_encoder_layers": 2}, r"options.n_encoder_layers is 2, was 1"),
    "policy": ({"policy_type": "vqbet", "options": {}}, r"policy_type is 'vqbet', the checkpoint is of 'act'"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_weights_that_do_not_fit_a_changed_rung_stop_the_loop_or_the_rung_starts_anew(
    change, message, ledger, proposed, training
):
    changed = training.model_copy(update={"ladder": (rung_of(**change),)})
    with pytest.raises(CheckpointError, match=rf"ladder\[0\] does not fit the head.*{message}.*on_misfit=scratch"):
        proposed(ledger("iterate"), training=changed)
    plan = proposed(ledger("iterate"), training=changed.model_copy(update={"on_misfit": "scratch"}))
    assert plan.initial == "scratch"
    assert re.search(message, plan.reason)


def test_a_changed_option_that_leaves_the_weights_as_they_are_is_taken(ledger, proposed, training):
    changed = training.model_copy(update={"ladder": (rung_of(dropout=0.5, n_action_steps=2, optimizer_lr=0.1),)})
    assert proposed(ledger("iterate"), training=changed).initial == "head"


def test_weights_that_are_gone_are_missed_before_the_cycle_is_opened(ledger, proposed, training):
    with pytest.raises(CheckpointError, match="would go on from the head checkpoint, and there is none"):
        proposed(ledger("iterate"), head=None)
    willing = training.model_copy(update={"on_misfit": "scratch"})
    assert proposed(ledger("iterate"), head=None, training=willing).initial == "scratch"


def test_an_invalid_rung_is_named_before_anything_is_trained(ledger, training, proposed):
    broken = training.ladder[1].model_copy(update={"options": {"dim_modell": 128}})
    ladder = training.model_copy(update={"ladder": (training.ladder[0], broken)})
    with pytest.raises(ParameterError, match="dim_modell"):
        proposed(ledger(), training=ladder)


def test_the_plan_counts_what_the_cycle_may_spend(ledger, proposed, training, gating, harvest, demonstrations):
    plan = proposed(ledger())
    assert plan.training_steps == training.ladder[0].steps
    assert plan.evaluation_episodes == gating.max_pairs
    assert plan.harvest_attempts == 2 * harvest.attempts_per_task
    most = demonstrations.growth_per_task * demonstrations.max_attempts_factor
    assert plan.demonstration_attempts == 2 * most


def test_a_plan_within_the_limits_passes_as_it_is(ledger, proposed, training, suite, constitution):
    proposal = proposed(ledger())
    assert review_plan(proposal, constitution, suite, training) == proposal


def test_a_plan_beyond_the_limits_is_stopped_and_every_broken_limit_named(
    ledger, proposed, training, suite, constitution
):
    strict = constitution.model_copy(update={"max_training_steps": 19, "max_episodes": 50, "environments": ("libero",)})
    pushing = training.ladder[0].model_copy(update={"options": {"push_to_hub": True}})
    pushy = training.model_copy(update={"ladder": (pushing,)})
    proposal = proposed(ledger(), training=pushy)
    with pytest.raises(ConstitutionError) as error:
        review_plan(proposal, strict, suite, pushy)
    for limit in ("20 training steps", "100 episodes", "'metaworld_state' is not among", "push_to_hub=true"):
        assert limit in str(error.value)


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    """Three reaches and one closed drawer, by the real experts."""
    from leagents_kedro.parameters.demonstrations import DemonstrationParams
    from leagents_kedro.parameters.evaluation import EvaluationParams

    suite = described("metaworld_state", "reach-v3", "drawer-close-v3", episode_length=150)
    demonstrations = DemonstrationParams(
        source="experts",
        folder=None,
        repo_id=None,
        revision=None,
        amplify=None,
        initial_per_task=1,
        growth_per_task=0,
        allocation="uniform",
        solved_above=None,
        cap_per_task=1,
        corrections=None,
        action_noise=0.1,
        max_attempts_factor=4,
    )
    limits = base_constitution()
    here = EvaluationParams(slots=1, workers=1, episode_timeout_s=None, device="cpu", torch_threads=1, shortcuts=True)
    new = collect_episodes(
        suite, demonstrations, here, {"reach-v3": 3, "drawer-close-v3": 1}, 0, 0, limits, Path("nowhere")
    )
    root = tmp_path_factory.mktemp("mix") / "v3"
    write_episodes(root, new.episodes, new.features, new.fps, new.robot_type)
    return Shards(root)


def test_no_task_outweighs_the_smallest_by_more_than_allowed(mix, suite, selection):
    chosen = select_episodes(mix, suite, selection.model_copy(update={"max_imbalance": 2.0}))
    assert sorted(map(len, chosen.episodes.values())) == [1, 2]
    equal = select_episodes(mix, suite, selection.model_copy(update={"max_imbalance": 1.0}))
    assert sorted(map(len, equal.episodes.values())) == [1, 1]


def test_tasks_without_episodes_stop_the_run_with_their_names(mix, selection):
    wider = described("metaworld_state", "reach-v3", "push-v3", "door-open-v3")
    with pytest.raises(CoverageError, match=r"(?s)Push the puck.*Open a door"):
        select_episodes(mix, wider, selection)


def test_a_mix_of_another_environment_is_refused(mix, selection):
    pusht = described("pusht", "PushT-v0", obs_type="environment_state_agent_pos")
    with pytest.raises(EpisodesError):
        select_episodes(mix, pusht, selection)
