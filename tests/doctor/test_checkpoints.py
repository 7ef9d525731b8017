import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from leagents_kedro.doctor.checkpoints import examine_checkpoint
from leagents_kedro.doctor.loop import examine_folder
from leagents_kedro.policies.checkpoints import checkpoint_digest

STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"


@pytest.fixture
def needs(needs):
    extra = {"observation.environment_state": {"dtype": "float32", "shape": (5,), "names": None}}
    return needs.model_copy(update={"features": needs.features | extra})


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def edited(name: str, change):
    def damage(folder: Path) -> None:
        file = folder / "pretrained_model" / name
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return damage


def tensors(name: str, change):
    def damage(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        file = folder / "pretrained_model" / name
        content = load_file(file)
        change(content)
        save_file(content, file)

    return damage


def removed(name: str):
    return lambda folder: (folder / "pretrained_model" / name).unlink()


def torn(name: str):
    def damage(folder: Path) -> None:
        file = folder / "pretrained_model" / name
        file.write_bytes(file.read_bytes()[:-50])

    return damage


ERRORS = {
    "no weights": (removed("model.safetensors"), "lacks model.safetensors", "lerobot-train", "checkpoints/<step>"),
    "no processor": (removed("policy_preprocessor.json"), "lacks policy_preprocessor.json", "copy it completely"),
    "no state": (removed(STATE), f"lacks {STATE}", "copy it completely"),
    "weights in parts": (
        lambda f: (
            removed("model.safetensors")(f),
            (f / "pretrained_model/model.safetensors.index.json").write_text("{}"),
        ),
        "lacks model.safetensors",
        "join what model.safetensors.index.json lists",
    ),
    "a pointer": (
        lambda f: (f / "pretrained_model/model.safetensors").write_text("version https://git-lfs.github.com/spec/v1"),
        "model.safetensors: should be safetensors",
        "git lfs pull",
    ),
    "a list": (
        lambda f: (f / "pretrained_model/config.json").write_text("[1]"),
        "config.json: should be JSON, is damaged: it holds a list, no object",
        "from a copy",
    ),
    "no processors": (
        lambda f: (removed("policy_preprocessor.json")(f), removed("policy_postprocessor.json")(f)),
        "lacks policy_preprocessor.json, policy_postprocessor.json",
        "if an older LeRobot wrote it, make them as lerobot.processor.migrate_policy_normalization does",
    ),
    "torn json": (torn("policy_postprocessor.json"), "policy_postprocessor.json", "should be JSON", "from a copy"),
    "torn config": (torn("config.json"), "config.json", "should be JSON", "from a copy"),
    "torn weights": (torn("model.safetensors"), "model.safetensors", "should be safetensors", "from a copy"),
    "torn state": (torn(STATE), STATE, "should be safetensors", "from a copy"),
    "other type": (
        edited("config.json", lambda c: c.update(type="akt")),
        "no policy type 'akt'",
        "Did you mean 'act'",
        "update LeRobot",
    ),
    "unknown field": (edited("config.json", lambda c: c.update(glow=1)), "glow", "'act' in this LeRobot", "take the"),
    "wide": (
        edited("config.json", lambda c: c["input_features"]["observation.state"].update(shape=[9])),
        "'observation.state' should have the environment's shape (3,), has (9,)",
        "suite.options",
    ),
    "camera": (
        edited("config.json", lambda c: c["input_features"].update(touch={"type": "STATE", "shape": [1]})),
        "the policy needs 'touch', which the environment does not give",
        "it gives observation.state",
        "train from scratch",
    ),
    "broken weights": (
        tensors("model.safetensors", lambda t: t["model.action_head.bias"].fill(np.nan)),
        "weights should be finite",
        "model.action_head.bias",
        "learning rate",
    ),
    "no statistics": (tensors(STATE, lambda t: t.pop("action.mean")), "should normalize 'action' by mean", "as it is"),
    "infinite": (tensors(STATE, lambda t: t["action.std"].fill(np.inf)), "statistics of 'action'", "finite", "a copy"),
    "pickled": (lambda f: (f / "pretrained_model" / "a.pkl").touch(), "a.pkl", "pickled", "trust who made it"),
}


@pytest.mark.parametrize(("damage", "fragments"), [(d, f) for d, *f in ERRORS.values()], ids=ERRORS)
def test_what_we_break_is_found_with_its_fix(folder, needs, damage, fragments):
    damage(folder)
    told = [str(finding) for finding in examine_checkpoint(folder, needs) if finding.severity == "error"]
    for fragment in fragments:
        assert any(fragment in finding for finding in told), (fragment, told)


def test_a_sound_checkpoint_has_no_finding(trained, sound, needs):
    digest = checkpoint_digest(trained / "pretrained_model")
    assert examine_checkpoint(trained, needs, sound, digest) == []
    assert examine_checkpoint(trained / "pretrained_model") == []


def test_one_bit_is_enough(folder):
    digest = checkpoint_digest(folder / "pretrained_model")
    (folder / "checkpoint.json").write_text(json.dumps({"digest": digest}))
    assert examine_folder(folder, None) == []
    file = folder / "pretrained_model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    (found,) = examine_folder(folder, None)
    assert found.what.startswith(f"a file changed: the recorded digest is {digest[:12]}")


def test_a_mix_that_outgrew_the_statistics_is_a_warning(trained, sound, copied):
    mix = copied(sound)
    stats = mix / "meta" / "stats.json"
    content = json.loads(stats.read_text())
    content["action"]["mean"] = [5.0, 0.0]
    stats.write_text(json.dumps(content))
    (found,) = examine_checkpoint(trained, mix=mix)
    assert (found.severity, "'action'" in found.what) == ("warning", True)
    assert "training.normalization: refresh" in found.fix


def test_a_folder_is_told_by_what_is_in_it(trained, sound, tmp_path):
    for place in (sound, trained, trained / "pretrained_model"):
        assert examine_folder(place, None) == []
    empty = tmp_path / "version"
    empty.mkdir()
    (found,) = examine_folder(empty, None)
    assert "is neither" in found.what
    (empty / "EMPTY").touch()
    assert examine_folder(empty, None) == []
    assert "is no folder" in examine_folder(tmp_path / "nowhere", None)[0].what
