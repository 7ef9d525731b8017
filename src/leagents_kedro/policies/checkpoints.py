"""What a LeRobot checkpoint folder says about itself."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from leagents_kedro.errors import CheckpointError, ParameterError
from leagents_kedro.foundation.files import FileState
from leagents_kedro.foundation.typed import typed

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
            states = [step.get("state_file") for step in read_json(folder / name)["steps"]]
            missing += [state for state in states if state and not (folder / state).is_file()]
    return missing


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a file of a checkpoint.

    Raises:
        CheckpointError: It is not there, or holds something else.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: expected a JSON object, got something else ({error}). The file was damaged or edited; restore it "
            f"from a copy. {without_copy()}"
        ) from error


def without_copy() -> str:
    """Return the ways out for a version that is damaged, and of which there is no copy."""
    return (
        "Without one: where its cycle is open, delete this version; else start from another, "
        f"{typed('loop adopt RUN_ID --by NAME')}. Then {typed('run')}."
    )
