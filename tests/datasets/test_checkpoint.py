import json

import pytest
from kedro.io import DataCatalog

from leagents_kedro.datasets.checkpoint import CheckpointDataset
from leagents_kedro.errors import CheckpointError
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.records import Checkpoint
from support.openings import openings

V1, V2 = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "workspace" / "000100"
    pretrained = path / "pretrained_model"
    pretrained.mkdir(parents=True)
    (path / "training_state").mkdir()
    (path / "training_state" / "training_step.json").write_text('{"step": 100}')
    (pretrained / "config.json").write_text('{"type": "act"}')
    (pretrained / "model.safetensors").write_bytes(b"weights")
    (pretrained / "train_config.json").write_text('{"output_dir": "here"}')
    for name in ("preprocessor", "postprocessor"):
        state = f"policy_{name}_step_0_normalizer_processor.safetensors"
        steps = [{"registry_name": "normalizer_processor", "state_file": state}, {"registry_name": "to_batch"}]
        (pretrained / f"policy_{name}.json").write_text(json.dumps({"steps": steps}))
        (pretrained / state).write_bytes(b"statistics")
    return Checkpoint(path=path, policy_type="act", rung=0, step=100, digest=checkpoint_digest(pretrained))


def catalog(path, version=None):
    config = {"blessed": {"type": CheckpointDataset, "filepath": str(path / "blessed")}}
    return DataCatalog.from_config(config, save_version=version)


def test_a_checkpoint_is_linked_into_its_version(tmp_path, checkpoint):
    catalog(tmp_path, V1).save("blessed", checkpoint)
    loaded = catalog(tmp_path).load("blessed")
    assert loaded == checkpoint.model_copy(update={"path": tmp_path / "blessed" / V1 / "blessed"})
    assert checkpoint_digest(loaded.pretrained_model) == checkpoint.digest
    assert loaded.pretrained_model.joinpath("model.safetensors").samefile(
        checkpoint.pretrained_model / "model.safetensors"
    )


def test_the_optimizers_state_stays_where_the_training_goes_on(tmp_path, checkpoint):
    catalog(tmp_path, V1).save("blessed", checkpoint)
    loaded = catalog(tmp_path).load("blessed")
    assert sorted(path.name for path in loaded.path.iterdir()) == ["checkpoint.json", "pretrained_model"]
    assert (checkpoint.path / "training_state" / "training_step.json").exists()


def test_weights_that_versions_share_are_read_once_a_process(tmp_path, checkpoint):
    with openings() as opened:
        for version in (V1, V2):
            catalog(tmp_path, version).save("blessed", checkpoint)
            catalog(tmp_path).load("blessed")
    assert not any("safetensors" in path for path in opened)  # the digest was computed when the checkpoint was made
    weights = tmp_path / "blessed" / V2 / "blessed" / "pretrained_model" / "model.safetensors"
    weights.write_bytes(b"WEIGHTS")
    with openings() as opened, pytest.raises(CheckpointError, match="a file changed"):
        catalog(tmp_path).load("blessed")
    assert opened.count(str(weights)) == 1


def test_it_can_be_published_again_from_where_it_is(tmp_path, checkpoint):
    catalog(tmp_path, V1).save("blessed", checkpoint)
    first = catalog(tmp_path).load("blessed")
    catalog(tmp_path, V2).save("blessed", first.model_copy(update={"rung": 1}))
    assert (catalog(tmp_path).load("blessed").rung, catalog(tmp_path).load("blessed", version=V1).rung) == (1, 0)


def test_no_checkpoint_yet_is_a_version_too(tmp_path):
    catalog(tmp_path, V1).save("blessed", None)
    assert catalog(tmp_path)["blessed"].exists()
    assert catalog(tmp_path).load("blessed") is None


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "policy_preprocessor.json",
        "policy_postprocessor_step_0_normalizer_processor.safetensors",
    ],
)
def test_an_incomplete_checkpoint_is_named_at_both_ends(tmp_path, checkpoint, name):
    catalog(tmp_path, V1).save("blessed", checkpoint)
    (tmp_path / "blessed" / V1 / "blessed/pretrained_model" / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} missing"):
        catalog(tmp_path).load("blessed")
    (checkpoint.pretrained_model / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} missing"):
        catalog(tmp_path, V2).save("blessed", checkpoint)


def test_adapters_need_no_full_weights(tmp_path, checkpoint):
    model = checkpoint.pretrained_model / "model.safetensors"
    model.rename(model.with_name("adapter_model.safetensors"))
    adapters = checkpoint.model_copy(update={"digest": checkpoint_digest(checkpoint.pretrained_model)})
    catalog(tmp_path, V1).save("blessed", adapters)
    assert catalog(tmp_path).load("blessed") is not None


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"v" + content[1:]])
def test_a_weight_that_rotted_does_not_load(tmp_path, checkpoint, damage):
    catalog(tmp_path, V1).save("blessed", checkpoint)
    weights = tmp_path / "blessed" / V1 / "blessed" / "pretrained_model" / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(CheckpointError, match="a file changed"):
        catalog(tmp_path).load("blessed")


def test_the_digest_names_what_the_policy_does(checkpoint):
    pretrained = checkpoint.pretrained_model
    (pretrained / "train_config.json").write_text("elsewhere")
    (pretrained / "README.md").write_text("a card")
    assert checkpoint_digest(pretrained) == checkpoint.digest
    (pretrained / "model.safetensors").write_bytes(b"other weights")
    assert checkpoint_digest(pretrained) != checkpoint.digest
