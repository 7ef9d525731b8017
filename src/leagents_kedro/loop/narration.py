"""What the loop says while it works: a line a step, every decision as it falls, and what is being done now.

The log is the place for it: with the level ``WARNING`` for ``leagents_kedro`` in ``conf/logging.yml`` all is quiet.
"""

import logging
import time
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from leagents_kedro.datasets.page import PageDataset
from leagents_kedro.episodes.shards import Appended, NewEpisodes, Shards
from leagents_kedro.foundation.progress import doing
from leagents_kedro.foundation.spelling import counted
from leagents_kedro.history.status import score_text
from leagents_kedro.loop.specs import short_name
from leagents_kedro.records import Checkpoint, Decision, Outcome, Outcomes, Plan, Record, Selection, Suite

logger = logging.getLogger(__name__)

_NAMED = 5  # tasks of a suite


class NarrationHooks:
    """Tells of cycles a line for each step that has something to tell; of what is run by hand also versions."""

    def __init__(self) -> None:
        self._checks, self._by_hand = 0, False
        self._started: dict[str, float] = {}
        self._inputs: dict[str, dict[str, Any]] = {}

    @hook_impl(tryfirst=True)
    def before_loop(self) -> None:
        """Greet: what follows may take hours."""
        logger.info("The loop runs cycles until the gate or a budget ends it; Ctrl-C stops, the same command goes on.")

    @hook_impl(tryfirst=True)
    def between_cycles(self) -> None:
        """Say what is being done."""
        doing("tidy up")

    @hook_impl(trylast=True)
    def repeat_run(self) -> None:
        """It is done."""
        doing(None)

    @hook_impl(tryfirst=True)
    def before_cycle_opened(self) -> None:
        """Say what is being done, once what the first time takes longer."""
        if not self._checks:
            logger.info("Checking what the next cycle needs: torch, LeRobot, and the simulator are imported.")
        self._checks += 1
        doing("check what the next cycle needs")

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Say what begins, unless it is a cycle: the driver has said it."""
        self._catalog, self._pipeline = catalog, pipeline
        self._started.clear()
        names = run_params["pipeline_names"] or ["__default__"]
        self._by_hand = not (run_params["only_missing_outputs"] and names == ["cycle"])
        if self._by_hand:
            nodes = counted(len(pipeline.nodes), "node")
            logger.info("Pipeline %s, %s, version %s", ", ".join(names), nodes, run_params["run_id"])
        doing("import what the nodes need")

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Say what is being done."""
        doing(f"{short_name(node)}: read {dataset_name}")

    @hook_impl(tryfirst=True)
    def before_node_run(self, node: Node) -> None:
        """Say what is being done, and before the first node what an earlier attempt did."""
        if not self._started and (before := self._pipeline.nodes[: self._pipeline.nodes.index(node)]):
            logger.info("  done before: %s", ", ".join(map(short_name, before)))
        self._started[node.name] = time.monotonic()
        doing(short_name(node))

    @hook_impl
    def after_node_run(self, node: Node, inputs: dict[str, Any]) -> None:
        """Keep what the output follows from, until it is saved."""
        self._inputs[node.name] = inputs

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Say what is being done."""
        doing(f"{short_name(node)}: write {dataset_name}")

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Tell what came of the node; where that fails, the loop goes on."""
        try:
            self._tell(node, dataset_name, data)
        except Exception as error:
            logger.warning("  %s is done; of its output nothing can be told: %s", short_name(node), error)

    @hook_impl
    def on_node_error(self) -> None:
        """Nothing is being done any more."""
        doing(None)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Say so where there was nothing to do."""
        doing(None)
        if self._by_hand and not self._started:
            logger.info("  nothing to do: every output exists")

    def _tell(self, node: Node, dataset_name: str, data: Any) -> None:
        inputs = self._inputs.pop(node.name, {})
        passed_on = any(data is each or (isinstance(each, Record) and data == each) for each in inputs.values())
        text = "" if passed_on else _told(data)
        dataset = self._catalog.get(dataset_name)
        if isinstance(dataset, PageDataset):
            text = str(dataset._get_versioned_path(str(dataset.resolve_save_version())))
        if text or self._by_hand:
            seconds = time.monotonic() - self._started.get(node.name, time.monotonic())
            logger.info("  %s: %s", short_name(node), f"{text or 'done'} ({seconds:.1f} s)")
        if self._by_hand:
            read = filter(None, (_version(self._catalog, name) for name in inputs))
            logger.info("    read %s", ", ".join(read) or "nothing")
            logger.info("    wrote %s", _version(self._catalog, dataset_name, saved=True))


def _told(data: Any) -> str:
    """Return what a person wants to know of a node's output; nothing of what is kept for the machine alone."""
    match data:
        case Suite():
            more = [f"{len(data.tasks) - _NAMED} more"] if len(data.tasks) > _NAMED else []
            return f"{data.environment}, {counted(len(data.tasks), 'task')}: {', '.join([*data.names[:_NAMED], *more])}"
        case Plan():
            return f"rung {data.rung}, {counted(data.training_steps, 'step')} from {data.initial}: {data.reason}"
        case Selection():
            return f"{counted(len(data.indices), 'episode')} of {counted(len(data.episodes), 'task')}"
        case Checkpoint():
            return f"{data.policy_type} at step {data.step}, digest {data.digest[:12]}"
        case Outcomes():
            blessed = f", blessed {_successes(data.blessed)}" if data.blessed_digest else ""
            return f"candidate {_successes(data.candidate)}{blessed}, {counted(data.measured, 'episode')} measured now"
        case Decision():
            return f"{data.verdict.upper()}. {_scores(data)}. {data.reason}"
        case NewEpisodes():
            return counted(len(data.episodes), "new episode")
        case Appended():
            added = sum(shards.total_episodes for shards in data.additions)
            return f"{counted(data.base.total_episodes + added, 'episode')}, {added} of them new"
        case Shards():
            return f"{counted(data.total_episodes, 'episode')}, {counted(data.total_frames, 'frame')}"
    return ""


def _successes(outcomes: tuple[Outcome, ...]) -> str:
    return f"{sum(outcome.success for outcome in outcomes)} of {len(outcomes)}"


def _scores(decision: Decision) -> str:
    evidence = decision.evidence
    texts = [f"candidate {score_text(evidence.candidate)}"]
    if evidence.blessed:
        texts.append(f"blessed {score_text(evidence.blessed)}")
    if evidence.comparison and evidence.comparison.looks:
        look = evidence.comparison.looks[-1]
        texts.append(f"won {look.wins} : lost {look.losses}")
    return ", ".join(texts)


def _version(catalog: CatalogProtocol, name: str, saved: bool = False) -> str:
    """Return an entry with its version; nothing for parameters."""
    if name.startswith("params:") or name == "parameters":
        return ""
    dataset = catalog.get(name)
    if not isinstance(dataset, AbstractVersionedDataset):
        return name
    if not dataset.exists():
        return f"no {name} yet"
    return f"{name} {dataset.resolve_save_version() if saved else dataset.resolve_load_version()}"
