"""A cycle in which every stage is real and trivial: what it publishes tells what it read."""

import hashlib
import os
import signal
import time
from pathlib import Path

from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel

from leagents_kedro.foundation.files import remove
from leagents_kedro.history.history import History
from leagents_kedro.pipelines.gating.nodes import approve_decision
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.records import Checkpoint, CycleRecord, Decision, Evidence, Plan, Score, Selection


class TrainingParams(BaseModel, frozen=True, extra="forbid"):
    steps: int
    batch: int


class GatingParams(BaseModel, frozen=True, extra="forbid"):
    verdicts: tuple[str, ...]
    approval: str


def propose(history: History, blessed: Checkpoint | None, training: TrainingParams) -> Plan:
    return Plan(
        cycle=history.next_cycle,
        run=history.next_run,
        rung=sum(record.decision.verdict == "escalate" for record in history.cycles),
        initial="scratch",
        training_steps=training.steps,
        reason=f"blessed is {blessed.digest if blessed else None}",
    )


def train(mix: Selection, plan: Plan, head: Checkpoint | None, workspace: Path, training: TrainingParams) -> Checkpoint:
    with Path("data/trainings").open("a") as journal:
        journal.write(f"{plan.cycle}\n")
    print("training", flush=True)
    time.sleep(float(os.environ.get("PAUSE_IN_TRAIN", "0")))
    if place := os.environ.get("CLEAN_IN_TRAIN"):
        remove(Path(place))
    if pause := os.environ.get("KILL_IN_TRAIN"):
        time.sleep(float(pause))
        (workspace / "progress").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    folder = workspace / "pretrained_model"
    folder.mkdir(exist_ok=True)
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (folder / name).write_text('{"steps": []}')
    (folder / "config.json").write_text(f"{mix.episodes} {head.digest if head else None} {training.steps}")
    (folder / "model.safetensors").write_bytes(hashlib.sha256(plan.model_dump_json().encode()).digest())
    return Checkpoint(
        path=workspace, policy_type="act", rung=plan.rung, step=training.steps, digest=checkpoint_digest(folder)
    )


def decide(candidate: Checkpoint, blessed: Checkpoint | None, plan: Plan, gating: GatingParams) -> Decision:
    if secret := os.environ.get("FAIL_IN_DECIDE"):
        raise RuntimeError(f"decide was told to fail: {secret}")
    verdict = dict(enumerate(gating.verdicts, start=1)).get(plan.cycle, "iterate")
    score = Score(successes=1, episodes=2, low=0.1, high=0.9)
    evidence = Evidence(
        candidate=score,
        blessed=score if blessed else None,
        comparison=None,
        minimum_detectable_effect=None,
        task_scores={},
    )
    return Decision(verdict=verdict, reason=f"scripted [{plan.cycle}]", evidence=evidence)


def approve(verdict: Decision, history: History, plan: Plan, gating: GatingParams) -> Decision:
    return approve_decision(verdict, history, plan, gating)


def publish(decision: Decision, candidate: Checkpoint, blessed: Checkpoint | None) -> Checkpoint | None:
    return candidate if decision.blesses else blessed


def merge(mix: Selection, plan: Plan) -> Selection:
    return Selection(episodes=mix.episodes | {f"cycle {plan.cycle}": (plan.cycle,)})


def write_page(decision: Decision) -> str:
    return f"# {decision.verdict}\n"


def record(
    plan: Plan,
    mix: Selection,
    next_mix: Selection,
    candidate: Checkpoint,
    blessed: Checkpoint | None,
    decision: Decision,
) -> CycleRecord:
    return CycleRecord(
        plan=plan,
        decision=decision,
        candidate_digest=candidate.digest,
        blessed_digest=blessed.digest if blessed else None,
        mix_episodes=len(mix.indices),
        selected_episodes=len(mix.indices),
        evaluated_episodes=10,
        new_episodes=len(next_mix.indices) - len(mix.indices),
    )


def create_pipeline() -> Pipeline:
    return Pipeline(
        [
            Node(func=propose, inputs=["ledger", "blessed", "params:training"], outputs="plan", name="propose"),
            Node(
                func=train,
                inputs=["mix", "plan", "head", "training_workspace", "params:training"],
                outputs="candidate",
                name="train",
                tags=["heavy", "device"],
            ),
            Node(
                func=decide,
                inputs=["candidate", "blessed", "plan", "params:gating"],
                outputs="verdict",
                name="decide",
            ),
            Node(
                func=approve, inputs=["verdict", "ledger", "plan", "params:gating"], outputs="decision", name="approve"
            ),
            Node(func=publish, inputs=["decision", "candidate", "blessed"], outputs="next_blessed", name="publish"),
            Node(func=merge, inputs=["mix", "plan"], outputs="next_mix", name="merge"),
            Node(func=write_page, inputs="decision", outputs="page", name="write_page"),
            Node(
                func=record,
                inputs=["plan", "mix", "next_mix", "candidate", "blessed", "decision"],
                outputs="cycle_record",
                name="record",
            ),
        ]
    )
