"""The candidate: trained anew, or on from the head or the blessed checkpoint."""

from pathlib import Path

from leagents_kedro.constitution.commands import training_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError
from leagents_kedro.foundation.progress import progress_bar
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.foundation.typed import typed
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.policies.checkpoints import checkpoint_digest, checkpoint_step, resolve_device
from leagents_kedro.policies.training import train
from leagents_kedro.records import Checkpoint, Plan, Selection


def train_candidate(
    mix: Shards,
    selection: Selection,
    plan: Plan,
    head: Checkpoint | None,
    blessed: Checkpoint | None,
    workspace: Path,
    frame_cache: Path,
    training: TrainingParams,
    run_seed: int,
    constitution: Constitution,
) -> Checkpoint:
    """Train the plan's rung on the selected episodes; a killed training goes on from its last checkpoint.

    Each cycle has a seed of its own: the same mix and weights, after a rollback, give another candidate.

    Raises:
        ConstitutionError: The training would break a limit.
        CheckpointError: The checkpoint that the plan continues from is not there.
        EpisodesError: The mix cannot be read.
        TrainingError: The loss is not a finite number.
    """
    rung = training.rung(plan.rung)
    require(constitution, training_command(rung, training))
    sources = {"scratch": None, "head": head, "blessed": blessed}
    initial = sources[plan.initial]
    if plan.initial != "scratch" and initial is None:
        raise CheckpointError(
            f"the plan continues from the {plan.initial} checkpoint, and there is none; restore its version, or give "
            f"the cycle up: {typed(f'loop abandon {plan.cycle} --by NAME')}"
        )
    with progress_bar(f"train {rung.policy_type}", rung.steps, "step") as show:
        folder = train(
            mix,
            selection.indices,
            rung,
            training.model_copy(update={"seed": derive_seed("training", run_seed, training.seed, index=plan.cycle)}),
            initial.pretrained_model if initial else None,
            workspace,
            frame_cache,
            lambda step, _, loss: show(step, f"loss {loss:.3f}"),
        )
    return Checkpoint(
        path=folder,
        policy_type=rung.policy_type,
        rung=plan.rung,
        step=checkpoint_step(folder) + (initial.step if initial else 0),
        digest=checkpoint_digest(folder / "pretrained_model"),
        device=resolve_device(training.device, "training.device"),
    )
