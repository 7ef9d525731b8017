"""The contracts of a node that docs/extend.md tells, over all nodes of the project."""

import inspect
from typing import Any

import pytest
import yaml
from kedro.pipeline.node import Node

from leagents_kedro.datasets.checkpoint import CheckpointDataset
from leagents_kedro.datasets.lerobot_shards import LeRobotShards
from leagents_kedro.datasets.page import PageDataset
from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.datasets.record import RecordDataset
from leagents_kedro.loop.specs import DEVICE
from leagents_kedro.pipelines import cycle, seed, supplement
from support.parameters import BASE

CATALOG: dict[str, dict[str, Any]] = yaml.safe_load((BASE / "catalog.yml").read_text())
NODES = {node.name: node for pipeline in (cycle, seed, supplement) for node in pipeline.create_pipeline().nodes}
EVERY_NODE = pytest.mark.parametrize("node", NODES.values(), ids=NODES)
SPENDS = {"params:evaluation", "training_workspace"}  # what simulates, and what trains


def dataset_type(entry: str) -> type:
    from kedro.utils import load_obj

    return load_obj(CATALOG[entry]["type"])


@EVERY_NODE
def test_a_node_has_one_output_and_the_catalog_keeps_its_versions(node: Node) -> None:
    (output,) = node.outputs
    assert issubclass(dataset_type(output), PublishedDataset)


@EVERY_NODE
def test_what_trains_or_simulates_asks_the_constitution(node: Node) -> None:
    asks = "constitution" in node.inputs
    assert asks or not SPENDS & set(node.inputs)
    if DEVICE in node.tags:
        assert asks, "device time is spent on what the constitution allows"
        assert "require(" in inspect.getsource(node.func)


@EVERY_NODE
def test_what_acts_with_a_policy_or_trains_one_is_device_time(node: Node) -> None:
    acts = {"candidate", "next_blessed"} & set(node.inputs) and "params:evaluation" in node.inputs
    assert (DEVICE in node.tags) == bool(acts or "training_workspace" in node.inputs)


def test_the_cycle_folds_into_its_stages_whose_entries_keep_their_names() -> None:
    pipeline = cycle.create_pipeline()
    stages = {"selection", "training", "evaluation", "gating", "harvest", "knowledge"}
    assert {node.namespace for node in pipeline.nodes} == stages
    assert {name for name in pipeline.datasets() if not name.startswith("params:")} <= CATALOG.keys()
    assert [node.name for node in pipeline.filter(node_namespaces=["training"]).nodes] == ["training.train_candidate"]


@EVERY_NODE
def test_node_functions_know_no_kedro(node: Node) -> None:
    assert "kedro" not in {name.partition(".")[0] for name in vars(inspect.getmodule(node.func))}


@pytest.mark.parametrize(
    ("inherited", "written"),
    [("mix", "next_mix"), ("blessed", "next_blessed"), ("head", "candidate"), ("previous_outcomes", "outcomes")],
)
def test_what_a_cycle_inherits_lies_where_it_writes(inherited: str, written: str) -> None:
    assert CATALOG[inherited]["filepath"] == CATALOG[written]["filepath"]


def test_what_retention_leaves_is_small() -> None:
    outputs = {output for node in NODES.values() for output in node.outputs}
    kept = {output for output in outputs if not issubclass(dataset_type(output), CheckpointDataset | LeRobotShards)}
    assert all(issubclass(dataset_type(output), RecordDataset | PageDataset) for output in kept)
