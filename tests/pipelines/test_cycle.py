"""One real cycle: real experts, real training, real physics, real files; and the shape of the pipeline."""

import pkgutil
from importlib import import_module

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from leagents_kedro import pipelines
from leagents_kedro.episodes.lerobot import opened
from leagents_kedro.history.history import History
from leagents_kedro.pipelines import cycle, seed


def test_every_node_has_one_output_so_that_a_kill_between_two_saves_cannot_happen():
    assert all(len(node.outputs) == 1 for node in cycle.create_pipeline().nodes)


def test_the_cycle_is_the_sum_of_its_stages():
    names = {node.name for node in cycle.create_pipeline().nodes}
    stages = {module.name for module in pkgutil.iter_modules(pipelines.__path__)} - {"cycle", "seed", "supplement"}
    for stage in stages:
        created = import_module(f"{pipelines.__name__}.{stage}").create_pipeline()
        assert {node.name for node in created.nodes} <= names


def test_what_a_cycle_inherits_and_leaves_are_names_of_the_same_place():
    pipeline = cycle.create_pipeline()
    assert {"mix", "blessed", "head", "previous_outcomes", "ledger"} <= pipeline.inputs()
    assert {"next_mix", "next_blessed", "cycle_record", "experiment_page"} <= pipeline.all_outputs()


@pytest.fixture
def catalog(tmp_path, suite_params, demonstrations, selection, training, evaluation, gating, harvest, constitution):
    from kedro.io import Version

    from leagents_kedro.datasets.checkpoint import CheckpointDataset
    from leagents_kedro.datasets.lerobot_shards import LeRobotShards

    version = Version(None, "2026-01-01T00.00.00.000Z")
    few = gating.model_copy(update={"max_pairs": 4, "look_every": 2})
    fewer = demonstrations.model_copy(update={"initial_per_task": 2, "growth_per_task": 1})
    (tmp_path / "training").mkdir()
    (tmp_path / "evaluation").mkdir()
    memory = {
        "params:suite": suite_params,
        "params:demonstrations": fewer,
        "params:selection": selection,
        "params:training": training,
        "params:evaluation": evaluation,
        "params:gating": few,
        "params:harvest": harvest,
        "params:loop.run_seed": 0,
        "constitution": constitution,
        "ledger": History(()),
        "blessed": None,
        "head": None,
        "previous_outcomes": None,
        "training_workspace": tmp_path / "training",
        "frame_cache": tmp_path / "frames",
        "recipes": tmp_path / "recipes",
        "evaluation_workspace": tmp_path / "evaluation",
    }
    shards = {name: LeRobotShards(str(tmp_path / name), version) for name in ("rollouts", "demonstrations", "next_mix")}
    checkpoints = {name: CheckpointDataset(str(tmp_path / name), version) for name in ("candidate", "next_blessed")}
    mix = {"mix": LeRobotShards(str(tmp_path / "mix"), version)}
    return DataCatalog({name: MemoryDataset(value) for name, value in memory.items()} | shards | checkpoints | mix)


@pytest.mark.slow
def test_a_cycle_runs_for_real_from_demonstrations_to_a_record(catalog):
    runner = SequentialRunner()
    runner.run(seed.create_pipeline(), catalog)
    outputs = runner.run(cycle.create_pipeline(), catalog)
    record = outputs["cycle_record"].load()

    assert record.plan.initial == "scratch"
    assert record.mix_episodes == 4
    assert record.decision.evidence.candidate.episodes == 4
    assert record.new_episodes == catalog.load("next_mix").total_episodes - 4 >= 2
    assert record.candidate_digest == catalog.load("candidate").digest
    assert opened(catalog.load("next_mix"))[0]["action"].shape == (4,)
    assert record.decision.verdict in outputs["experiment_page"].load()
