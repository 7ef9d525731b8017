"""What a LeRobot checkpoint folder says about itself."""

import hashlib
import json
from pathlib import Path

_WITHOUT_EFFECT = {"train_config.json", "README.md"}


def checkpoint_digest(pretrained_model: Path) -> str:
    """Return the SHA-256 (hex) of what makes a policy act as it does: names and bytes of its files.

    ``train_config.json`` and ``README.md`` do not count: they name folders and dates.
    """
    digest = hashlib.sha256()
    for path in sorted(pretrained_model.rglob("*")):
        if path.is_file() and path.name not in _WITHOUT_EFFECT:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(pretrained_model).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def checkpoint_step(checkpoint: Path) -> int:
    """Return the number of optimisation steps behind ``checkpoint``, counted from its training's start."""
    return int(json.loads((checkpoint / "training_state" / "training_step.json").read_text())["step"])


def resolve_device(device: str) -> str:
    """Return ``device``, or for ``auto`` the fastest that this machine has."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
