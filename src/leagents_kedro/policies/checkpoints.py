"""What a LeRobot checkpoint folder says about itself."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leagents_kedro.errors import CheckpointError, ParameterError
from leagents_kedro.foundation.files import FileState
from leagents_kedro.foundation.typed import typed
from leagents_kedro.foundation.untrusted import stand_in

if TYPE_CHECKING:
    import torch

PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")
"""What comes before the policy, and after it."""
_KNOWN_DIGESTS = 64  # of a candidate and a blessed checkpoint, and of those that a doctor holds against the ledger
_WITHOUT_EFFECT = {"train_config.json", "README.md"}


def checkpoint_digest(pretrained_model: Path) -> str:
    """Return the SHA-256 (hex) of what makes a policy act as it does: names and bytes of its files.

    ``train_config.json`` and ``README.md`` do not count: they name folders and dates. Files that stayed as they are,
    and their hard links in other versions, are read once a process.
    """
    paths = sorted(pretrained_model.rglob("*"))
    files = [path for path in paths if path.is_file() and path.name not in _WITHOUT_EFFECT]
    return _digest(tuple((path.relative_to(pretrained_model).as_posix(), FileState.of(path)) for path in files))


@lru_cache(maxsize=_KNOWN_DIGESTS)
def _digest(files: tuple[tuple[str, FileState], ...]) -> str:
    digest = hashlib.sha256()
    for name, state in files:
        with state.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def checkpoint_step(checkpoint: Path) -> int:
    """Return the number of optimisation steps behind ``checkpoint``, counted from its training's start."""
    return int(json.loads((checkpoint / "training_state" / "training_step.json").read_text())["step"])


def resolve_device(device: str, parameter: str) -> str:
    """Return ``device``, as ``parameter`` names it, or for ``auto`` the fastest that this machine has.

    Raises:
        ParameterError: This machine has no such device that torch can use.
    """
    if device == "cpu":
        return device
    import torch

    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, is_usable in usable.items() if is_usable)
    if not usable[device]:
        there = ", ".join(name for name, is_usable in usable.items() if is_usable)
        raise ParameterError(
            f"{parameter}: torch {torch.__version__} finds no device '{device}' on this machine, only {there}; set it "
            "to auto, or install the driver and the torch that are made for it"
        )
    return device


def known_policies(wanted: str) -> dict[str, type]:
    """Return LeRobot's policy types and ours by name; those of plug-ins where ``wanted`` is none of them."""
    from lerobot.configs import PreTrainedConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_policies()
    if wanted not in PreTrainedConfig.get_known_choices():
        register_third_party_plugins()
    known: dict[str, type] = PreTrainedConfig.get_known_choices()
    return known


def register_policies() -> None:
    """Let LeRobot know its own policy types, and ours."""
    import lerobot.policies  # noqa: F401

    import leagents_kedro.policies.chunked_mlp.configuration_chunked_mlp  # noqa: F401


def missing_files(folder: Path) -> list[str]:
    """Return the names that a ``pretrained_model`` folder lacks; LeRobot would look the first two up on the Hub.

    Raises:
        CheckpointError: A processor's file is damaged.
    """
    missing = [name for name in ("config.json", *PROCESSORS) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in ("model.safetensors", "adapter_model.safetensors")):
        missing.append("model.safetensors")
    for name in PROCESSORS:
        if name not in missing:
            states = [step.get("state_file") for step in processor_steps(folder / name)]
            missing += [state for state in states if state and not (folder / state).is_file()]
    return missing


def way_to_complete(folder: Path) -> tuple[str, str]:
    """Return the likely fix of a ``pretrained_model`` folder with `missing_files`, and its command, if there is one."""
    if (folder / "model.safetensors.index.json").is_file():
        return "LeRobot reads one file of weights: join what model.safetensors.index.json lists", ""
    if any(folder.glob("*.bin")):
        return "LeRobot reads weights as safetensors: convert them where they are trusted", ""
    has_policy = (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()
    if has_policy and not any((folder / name).is_file() for name in PROCESSORS):
        return _way_to_migrate(folder.resolve())
    return "give the folder checkpoints/<step>/pretrained_model, or copy it completely", ""


def _way_to_migrate(folder: Path) -> tuple[str, str]:
    """LeRobot's script takes each underscore in the name of a feature for a dot."""
    script = "lerobot.processor.migrate_policy_normalization"
    features = read_json(folder / "config.json").get("input_features") or {}
    if any("_" in name for name in features):
        return f"copy it completely; if an older LeRobot wrote it, make them as {script} does", ""
    command = shlex.join(["python", "-m", script, f"--pretrained-path={folder}"])
    return f"copy it completely; if an older LeRobot wrote it, take {folder.name}_migrated, which this writes", command


def processor_steps(file: Path) -> list[dict[str, Any]]:
    """Return the steps that a processor's file lists.

    Raises:
        CheckpointError: It is damaged.
    """
    steps = read_json(file).get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise CheckpointError(f"{file}: expected the steps of a processor, got none. Restore it from a copy")
    return steps


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight in a ``pretrained_model`` folder; nothing else of them is read.

    Raises:
        CheckpointError: Its file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / "model.safetensors"
    try:
        with safe_open(file, "pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        fix = stand_in(file) or "restore it from a copy"
        raise CheckpointError(f"{file}: expected safetensors, got something else ({error}); {fix}") from error


def unstored(weights: "Mapping[str, torch.Tensor]", stored: Iterable[str]) -> list[str]:
    """Return which of a policy's ``weights`` are not among the names that are ``stored``; of tied ones, one is."""
    names = {*stored}
    there = {weight.data_ptr() for name, weight in weights.items() if name in names}
    return [name for name, weight in weights.items() if name not in names and weight.data_ptr() not in there]


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a file of a checkpoint.

    Raises:
        CheckpointError: It is not there, or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__}")
    except (OSError, ValueError, TypeError) as error:
        fix = stand_in(file) or f"it was damaged or edited: restore it from a copy. {without_copy()}"
        raise CheckpointError(f"{file}: expected a JSON object, got something else ({error}); {fix}") from error
    return content


def without_copy() -> str:
    """Return the ways out for a version that is damaged, and of which there is no copy."""
    return (
        "Without one: where its cycle is open, delete this version; else start from another, "
        f"{typed('loop adopt RUN_ID --by NAME')}. Then {typed('run')}."
    )
